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

/// A reaction: an emoji, or the name of one in `:colons:`. 1 to 64 bytes without blanks and control characters.
pub fn reaction(reaction: &str) -> Result<&str, Code> {
    let fits = (1..=limits::REACTION_BYTES).contains(&reaction.len());
    if fits && !reaction.chars().any(|c| c.is_whitespace() || is_forbidden(c)) {
        Ok(reaction)
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

/// Whether a message is made of emoji and of `:names:` of emotes alone. White space may stand between them.
pub fn is_emotes(text: &str) -> bool {
    let mut some = false;
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            ':' => name_length(rest),
            // A digit is an emoji only with the keycap around it.
            '0'..='9' | '#' | '*' => {
                let keycap = rest[1..].trim_start_matches('\u{fe0f}').strip_prefix('\u{20e3}');
                keycap.map_or(0, |after| rest.len() - after.len())
            }
            _ if is_emoji(first) => first.len_utf8(),
            _ => 0,
        };
        if length == 0 {
            return false;
        }
        some = true;
        // Variation selectors, joiners and tags belong to the emoji before them.
        let joins = |c: char| {
            matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{200d}' | '\u{20e3}' | '\u{e0020}'..='\u{e007f}')
        };
        rest = rest[length..].trim_start_matches(|c: char| joins(c) || c.is_whitespace());
    }
    some
}

/// Bytes of the `:name:` that the text begins with; 0 when it begins with none.
fn name_length(text: &str) -> usize {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+');
    let name = text.bytes().skip(1).take_while(|byte| is_part(*byte)).count();
    let closed = text.as_bytes().get(name + 1) == Some(&b':');
    if closed && (1..=limits::EMOTE_CHARS).contains(&name) { name + 2 } else { 0 }
}

/// By the blocks that emoji lie in, without a table: a few symbols that are none pass too.
fn is_emoji(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}'
        | '\u{2934}'..='\u{2935}' | '\u{2b05}'..='\u{2b55}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}'
        | '\u{1f000}'..='\u{1faff}')
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
    fn emotes_are_emoji_and_names_in_colons() {
        for emotes in ["🎹", "👍🏽 👩‍👩‍👧", ":wave:", ":+1::tada: 🇩🇪", "❤️", "1️⃣ #⃣", " \n🏴\u{e0067}\u{e007f}"]
        {
            assert!(is_emotes(emotes), "{emotes:?}");
        }
        let long = alloc::format!(":{}:", "x".repeat(33));
        for text in ["", " ", "hi", "🎹 hi", "::", ": :", ":a b:", "1", "12", "\u{200d}", ":)", "4 U", &long]
        {
            assert!(!is_emotes(text), "{text:?}");
        }
    }

    #[test]
    fn an_excerpt_ends_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ü".repeat(200)).chars().count(), limits::EXCERPT_CHARS);
    }
}
