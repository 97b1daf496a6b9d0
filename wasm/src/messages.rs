//! The rows of a timeline as JavaScript objects.

use enfilade_core::client::{Client, Gap, PendingView, RoomView, Shown};
use enfilade_core::op::Body;
use enfilade_core::pending::OpState;
use enfilade_core::v1;
use serde::Serialize;
use wasm_bindgen::JsValue;

use crate::rows::{id_text, js, op_id};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    id: String,
    author: &'a str,
    author_name: &'a str,
    at: u64,
    text: &'a str,
    mentions: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    ordinal: Option<u64>,
    status: &'static str,
    mine: bool,
    cancellable: bool,
    edited: bool,
    deleted: bool,
    pinned: bool,
    changing: bool,
    reactions: Vec<Reaction<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<GapRow>,
}

#[derive(Serialize)]
struct Reaction<'a> {
    reaction: &'a str,
    users: &'a [String],
    mine: bool,
}

/// What is missing before a message.
#[derive(Serialize)]
struct GapRow {
    after: u64,
    missing: u64,
    loading: bool,
    fillable: bool,
}

/// Confirmed messages with an ordinal between the two, ascending.
pub(crate) fn messages(
    client: &Client,
    view: RoomView<'_>,
    after: u64,
    before: u64,
) -> Result<JsValue, JsValue> {
    let indices = view.place(after + 1)..view.place(before);
    let shown: Vec<_> = indices.filter_map(|at| Some((view.shown(at)?, view.gap_before(at)))).collect();
    let user = client.connection().user;
    js(&shown.iter().map(|(shown, gap)| Message::confirmed(shown, *gap, user)).collect::<Vec<_>>())
}

/// Pinned messages, oldest pin first. One of which nothing is known has no ordinal.
pub(crate) fn pins(client: &Client, view: RoomView<'_>) -> Result<JsValue, JsValue> {
    let user = client.connection().user;
    let shown: Vec<_> = view.pins().collect();
    js(&shown.iter().map(|shown| Message::confirmed(shown, None, user)).collect::<Vec<_>>())
}

/// Messages that are not confirmed; other operations have no row.
pub(crate) fn pending(client: &Client, view: RoomView<'_>) -> Result<JsValue, JsValue> {
    let connection = client.connection();
    let (user, name) = (connection.user.unwrap_or_default(), connection.user_name.unwrap_or_default());
    js(&view.pending().filter_map(|op| Message::pending(op, user, name)).collect::<Vec<_>>())
}

impl<'a> Message<'a> {
    fn confirmed(shown: &'a Shown<'_>, gap: Option<Gap>, user: Option<&str>) -> Message<'a> {
        let message = &*shown.message;
        let reaction = |reaction: &'a v1::Reaction| Reaction {
            reaction: &reaction.reaction,
            users: &reaction.users,
            mine: reaction.users.iter().any(|known| user == Some(known)),
        };
        Message {
            id: op_id(message.id.as_ref()),
            author: &message.author,
            author_name: &message.author_name,
            at: message.at,
            text: &message.text,
            mentions: &message.mentions,
            ordinal: (message.ordinal > 0).then_some(message.ordinal),
            status: "sent",
            mine: user == Some(&message.author),
            cancellable: false,
            edited: message.edited_at > 0,
            deleted: message.deleted,
            pinned: message.pinned,
            changing: shown.is_pending,
            reactions: message.reactions.iter().map(reaction).collect(),
            gap: gap.map(|gap| GapRow {
                after: gap.after,
                missing: gap.missing,
                loading: gap.is_loading,
                fillable: gap.is_fillable,
            }),
        }
    }

    fn pending(op: PendingView<'a>, author: &'a str, author_name: &'a str) -> Option<Message<'a>> {
        let Body::PostMessage(post) = op.body else { return None };
        Some(Message {
            id: id_text(op.op_id),
            author,
            author_name,
            at: op.since.0,
            text: &post.text,
            mentions: &post.mentions,
            ordinal: None,
            status: match op.state {
                OpState::Queued | OpState::PutOff { .. } => "queued",
                OpState::Sent => "sending",
                OpState::Acknowledged(_) => "acknowledged",
            },
            mine: true,
            cancellable: op.is_cancellable,
            edited: false,
            deleted: false,
            pinned: false,
            changing: false,
            reactions: Vec::new(),
            gap: None,
        })
    }
}
