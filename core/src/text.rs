//! What names and messages may contain.

use crate::{Code, limits};

/// A display name or a room's name: 1 to 64 characters without control characters, and not blank.
pub fn name(name: &str) -> Result<&str, Code> {
    let fits = name.chars().count() <= limits::NAME_CHARS;
    if fits && !name.trim().is_empty() && !name.chars().any(is_forbidden) {
        Ok(name)
    } else {
        Err(Code::InvalidName)
    }
}

/// A room's topic: at most 250 characters without control characters; may be empty.
pub fn topic(topic: &str) -> Result<&str, Code> {
    let fits = topic.chars().count() <= limits::TOPIC_CHARS;
    if fits && !topic.chars().any(is_forbidden) { Ok(topic) } else { Err(Code::InvalidText) }
}

/// A message: 1 to 4,000 characters, not blank, without control characters but line breaks and tabs.
pub fn message(text: &str) -> Result<&str, Code> {
    let fits = text.chars().count() <= limits::TEXT_CHARS;
    let forbidden = |c: char| is_forbidden(c) && !matches!(c, '\n' | '\t');
    if fits && !text.trim().is_empty() && !text.chars().any(forbidden) {
        Ok(text)
    } else {
        Err(Code::InvalidText)
    }
}

/// The first characters of a message, for a notification.
pub fn excerpt(text: &str) -> &str {
    match text.char_indices().nth(limits::EXCERPT_CHARS) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// Control characters, and those that turn the direction of the text around them, by which a name can pose as another.
fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_visible() {
        assert_eq!(name("Zoë"), Ok("Zoë"));
        for bad in ["", "   ", "a\u{0}b", "a\nb", "\u{202e}evil", &"é".repeat(65)] {
            assert_eq!(name(bad), Err(Code::InvalidName), "{bad:?}");
        }
    }

    #[test]
    fn messages_may_have_line_breaks_but_no_other_control_characters() {
        assert!(message("one\n\ttwo").is_ok());
        for bad in ["", "\n", "a\u{7}", &"x".repeat(4_001)] {
            assert_eq!(message(bad), Err(Code::InvalidText), "{bad:?}");
        }
    }

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ü".repeat(200)).chars().count(), limits::EXCERPT_CHARS);
    }
}
