//! Messages beyond every window, for whoever keeps a room's whole log: what an entry has made, and what it changes.

use super::message;
use crate::{Entry, op, v1};

/// The message that an entry made, before anything changed it; `None` for an entry that makes none.
pub fn posted(entry: &Entry) -> Option<v1::Message> {
    message::posted(entry.clone())
}

/// The seq of the message that an entry changes, if it changes one.
pub fn target(entry: &Entry) -> Option<u64> {
    op::target(entry.body.as_ref()?).map(|(_, seq)| seq)
}

/// Does to a message what the entry does, unless the entry is about another one, or was done to it already. Returns
/// whether that made a difference.
pub fn amend(message: &mut v1::Message, entry: &Entry) -> bool {
    message::replay(message, entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientId, Millis, OpId};

    fn entry(seq: u64, body: op::Body) -> Entry {
        Entry {
            seq,
            op_id: OpId { client: ClientId(1), counter: seq },
            author: "ann".into(),
            author_name: "Ann".into(),
            at: Millis(seq),
            ordinal: 0,
            op: op::encode(body.clone()),
            body: Some(body),
        }
    }

    #[test]
    fn what_a_log_has_made_of_a_message_is_found_entry_by_entry_and_once() {
        let post = entry(1, op::post("hello"));
        let mut message = posted(&post).unwrap();
        let edit = v1::EditMessage {
            message_id: Some(post.op_id.wire()),
            message_seq: 1,
            text: "hi".into(),
            ..Default::default()
        };
        let edit = entry(7, op::Body::EditMessage(edit));
        assert_eq!((target(&edit), target(&post)), (Some(1), None));
        assert!(amend(&mut message, &edit) && !amend(&mut message, &edit));
        assert_eq!((message.text.as_str(), message.changed_seq), ("hi", 7));
        assert_eq!(posted(&edit), None);
    }
}
