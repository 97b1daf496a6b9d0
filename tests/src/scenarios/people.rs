//! People: who is there, and what they have not read.

use enfilade_core::op::Body;
use enfilade_core::v1::room_state_sync::Data;
use enfilade_core::v1::server_frame::Body as Frame;
use enfilade_core::{Millis, Tier, limits, v1};
use prost::Message as _;

use super::stage::{App, Desk, Log, id};

pub(super) fn somebody_whose_server_falls_silent_is_stale_and_not_gone() {
    let mut desk = Desk::new("lobby");
    desk.set_tier(1, "ada", Tier::Active, None);
    let bob =
        v1::PresentUser { user: "bob".into(), name: "Bob".into(), connections: 1, ..Default::default() };
    let record = v1::PresenceUpdate { full: true, users: vec![bob], gone: Vec::new() }.encode_to_vec();
    let lapses = Millis(desk.now + limits::LEASE);
    desk.authority.handle_leases(vec![("n2".into(), record, lapses)], Millis(desk.now));
    let last_word = |desk: &Desk| {
        let updates = desk.frames().filter_map(|(_, frame)| match frame {
            Frame::RoomStateSync(sync) => match &sync.data {
                Some(Data::StateUpdate(update)) => update.presence.clone(),
                _ => None,
            },
            _ => None,
        });
        let about = |update: v1::PresenceUpdate| {
            let shown = update.users.iter().find(|user| user.user == "bob").map(|user| user.liveness());
            let gone = update.gone.iter().any(|user| user == "bob");
            shown.map(Some).or(gone.then_some(None))
        };
        updates.filter_map(about).last().expect("something was said of Bob")
    };
    desk.wait(5_000);
    assert_eq!(last_word(&desk), Some(v1::Liveness::Live));
    // His server is not heard of any more. Perhaps it is we who are deaf: that is said, and no more.
    desk.wait(limits::LEASE + 10_000);
    desk.authority.handle_leases(Vec::new(), Millis(desk.now));
    desk.wait(1_000);
    assert_eq!(last_word(&desk), Some(v1::Liveness::Stale));
    // But he does not stay for ever.
    desk.wait(limits::LEASE_GRACE);
    desk.authority.handle_leases(Vec::new(), Millis(desk.now));
    desk.wait(1_000);
    assert_eq!(last_word(&desk), None);
}

pub(super) fn unread_is_right_in_a_room_that_was_never_opened() {
    let mut app = App::online();
    let mut inbox = Log::new("lobby", 9);
    let follow = Body::FollowRoom(v1::FollowRoom { room_id: "lobby".into(), as_of: None });
    let marker = Body::SetReadMarker(v1::SetReadMarker { room_id: "lobby".into(), ordinal: 4 });
    let mut of_ada = Log::inbox("ada", 5);
    of_ada.add("", follow);
    of_ada.add("ada", marker);
    app.hear(of_ada.bulk());
    app.call(|client, now| client.watch_rooms(true, now));
    (0..10).for_each(|number| drop(inbox.post("bob", &format!("message {number}"))));
    app.list(&[inbox.state.summary()]);
    let unread = |app: &App| {
        let rows = app.client.rooms();
        rows.iter().find(|row| row.id == &id("lobby")).map(|row| (row.tier, row.unread))
    };
    assert_eq!(unread(&app), Some((Tier::Unloaded, 6)), "ten were written, and four are read");
    // The same after a reload: nothing was counted here.
    let mut app = app.restarted();
    app.welcomed();
    app.hear(of_ada.bulk());
    app.call(|client, now| client.watch_rooms(true, now));
    app.list(&[inbox.state.summary()]);
    assert_eq!(unread(&app), Some((Tier::Unloaded, 6)));
    // What another device has read is read here as well.
    of_ada.add("ada", Body::SetReadMarker(v1::SetReadMarker { room_id: "lobby".into(), ordinal: 10 }));
    app.hear(of_ada.delta(3, false));
    assert_eq!(unread(&app), Some((Tier::Unloaded, 0)));
}
