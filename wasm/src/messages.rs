//! The rows of a timeline as JavaScript objects.

use enfilade_core::client::{Client, Gap, PendingView, RoomView, Shown};
use enfilade_core::op::Body;
use enfilade_core::pending::OpState;
use wasm_bindgen::JsValue;

use crate::json::Json;
use crate::rows::{id_text, list, op_id};

/// Confirmed messages with an ordinal between the two, ascending.
pub(crate) fn messages(
    client: &Client,
    view: RoomView<'_>,
    after: u64,
    before: u64,
) -> Result<JsValue, JsValue> {
    let indices = view.place(after + 1)..view.place(before);
    let user = client.connection().user;
    let shown = indices.filter_map(|at| Some((view.shown(at)?, view.gap_before(at))));
    list(shown, |json, (shown, gap)| confirmed(json, &shown, gap, user))
}

/// Pinned messages, oldest pin first. One of which nothing is known has no ordinal.
pub(crate) fn pins(client: &Client, view: RoomView<'_>) -> Result<JsValue, JsValue> {
    let user = client.connection().user;
    list(view.pins(), |json, shown| confirmed(json, &shown, None, user))
}

/// Messages that are not confirmed; other operations have no row.
pub(crate) fn pending(client: &Client, view: RoomView<'_>) -> Result<JsValue, JsValue> {
    let connection = client.connection();
    let author = (connection.user.unwrap_or_default(), connection.user_name.unwrap_or_default());
    let posts = view.pending().filter(|op| matches!(op.body, Body::PostMessage(_)));
    list(posts, |json, op| unconfirmed(json, op, author))
}

fn confirmed(json: &mut Json, shown: &Shown<'_>, gap: Option<Gap>, user: Option<&str>) {
    let message = &*shown.message;
    json.text("id", &op_id(message.id.as_ref()));
    json.text("author", &message.author);
    json.text("authorName", &message.author_name);
    json.number("at", message.at);
    json.text("text", &message.text);
    json.texts("mentions", &message.mentions);
    json.optional("ordinal", Some(message.ordinal).filter(|ordinal| *ordinal > 0));
    json.text("status", "sent");
    json.flag("mine", user == Some(&message.author));
    json.flag("cancellable", false);
    json.flag("edited", message.edited_at > 0);
    json.flag("deleted", message.deleted);
    json.flag("pinned", message.pinned);
    json.flag("changing", shown.is_pending);
    json.list("reactions");
    for reaction in &message.reactions {
        json.item();
        json.text("reaction", &reaction.reaction);
        json.texts("users", &reaction.users);
        json.flag("mine", reaction.users.iter().any(|known| user == Some(known)));
        json.end();
    }
    json.end();
    // What is missing before it.
    if let Some(gap) = gap {
        json.object("gap");
        json.number("after", gap.after);
        json.number("missing", gap.missing);
        json.flag("loading", gap.is_loading);
        json.flag("fillable", gap.is_fillable);
        json.end();
    }
}

fn unconfirmed(json: &mut Json, op: PendingView<'_>, (author, author_name): (&str, &str)) {
    let Body::PostMessage(post) = op.body else { return };
    let status = match op.state {
        OpState::Queued | OpState::PutOff { .. } => "queued",
        OpState::Sent => "sending",
        OpState::Acknowledged(_) => "acknowledged",
    };
    json.text("id", &id_text(op.op_id));
    json.text("author", author);
    json.text("authorName", author_name);
    json.number("at", op.since.0);
    json.text("text", &post.text);
    json.texts("mentions", &post.mentions);
    json.text("status", status);
    json.flag("mine", true);
    json.flag("cancellable", op.is_cancellable);
    for never in ["edited", "deleted", "pinned", "changing"] {
        json.flag(never, false);
    }
    json.list("reactions");
    json.end();
}
