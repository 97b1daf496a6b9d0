//! JSON text, of which the browser makes objects: one crossing however many fields there are, and a fifth of the code
//! that making them one by one takes.

use alloc::string::String;
use alloc::vec::Vec;

use js_sys::JSON;
use wasm_bindgen::JsValue;

/// A text in the making. What is open is ended from within; what is no number, text or flag is left out.
#[derive(Default)]
pub(crate) struct Json {
    /// With a comma after everything, until the bracket around it closes.
    text: Vec<u8>,
    /// What closes what is open.
    ends: Vec<u8>,
}

impl Json {
    /// An object, as an item of a list or all there is.
    pub(crate) fn item(&mut self) {
        self.open(b'{', b'}');
    }

    /// A list that is all there is.
    pub(crate) fn items(&mut self) {
        self.open(b'[', b']');
    }

    /// The next fields are within this one.
    pub(crate) fn object(&mut self, name: &str) {
        self.name(name);
        self.item();
    }

    /// The next items are within this field.
    pub(crate) fn list(&mut self, name: &str) {
        self.name(name);
        self.items();
    }

    /// Ends what was last opened.
    pub(crate) fn end(&mut self) {
        if self.text.last() == Some(&b',') {
            self.text.pop();
        }
        self.text.extend(self.ends.pop());
        self.text.push(b',');
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.quoted(text);
    }

    pub(crate) fn texts(&mut self, name: &str, texts: &[String]) {
        self.list(name);
        for text in texts {
            self.quoted(text);
        }
        self.end();
    }

    pub(crate) fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.digits(number);
    }

    /// Leaves `None` out.
    pub(crate) fn optional(&mut self, name: &str, number: Option<u64>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    pub(crate) fn numbers(&mut self, name: &str, numbers: &[u64]) {
        self.list(name);
        for number in numbers {
            self.digits(*number);
        }
        self.end();
    }

    pub(crate) fn flag(&mut self, name: &str, flag: bool) {
        self.name(name);
        self.raw(if flag { "true," } else { "false," });
    }

    /// In place of an item.
    pub(crate) fn null(&mut self) {
        self.raw("null,");
    }

    /// The JavaScript value.
    pub(crate) fn parse(mut self) -> Result<JsValue, JsValue> {
        // The last comma.
        self.text.pop();
        JSON::parse(core::str::from_utf8(&self.text).unwrap_or_default())
    }

    fn open(&mut self, begin: u8, end: u8) {
        self.text.push(begin);
        self.ends.push(end);
    }

    /// Names are ours, and need no escapes.
    fn name(&mut self, name: &str) {
        self.text.push(b'"');
        self.raw(name);
        self.raw("\":");
    }

    fn quoted(&mut self, text: &str) {
        self.text.push(b'"');
        for byte in text.bytes() {
            match byte {
                0..b' ' => {
                    self.raw(if byte < 16 { "\\u000" } else { "\\u001" });
                    let digit = byte % 16;
                    self.text.push(if digit < 10 { b'0' + digit } else { b'a' - 10 + digit });
                }
                b'"' | b'\\' => self.text.extend_from_slice(&[b'\\', byte]),
                _ => self.text.push(byte),
            }
        }
        self.raw("\",");
    }

    fn digits(&mut self, number: u64) {
        self.raw(&decimal(number));
        self.text.push(b',');
    }

    fn raw(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }
}

/// The number's digits, without core's formatting, which is 3 kB.
pub(crate) fn decimal(number: u64) -> String {
    let mut text = String::new();
    let mut unit = 1;
    while number / unit > 9 {
        unit *= 10;
    }
    while unit > 0 {
        text.push(char::from(b'0' + (number / unit % 10) as u8));
        unit /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json::default();
        json.item();
        write(&mut json);
        json.end();
        String::from_utf8(json.text).unwrap()
    }

    #[test]
    fn objects_lists_and_fields_are_written_as_json_has_them() {
        let written = text(|json| {
            json.number("zero", 0);
            json.number("most", u64::MAX);
            json.optional("none", None);
            json.numbers("numbers", &[10, 99, 100]);
            json.flag("flag", true);
            json.object("empty");
            json.end();
            json.list("list");
            json.item();
            json.texts("texts", &[]);
            json.end();
            json.null();
            json.end();
        });
        let expected = concat!(
            r#"{"zero":0,"most":18446744073709551615,"numbers":[10,99,100],"flag":true,"#,
            r#""empty":{},"list":[{"texts":[]},null]},"#,
        );
        assert_eq!(written, expected);
    }

    #[test]
    fn texts_hold_whatever_people_write() {
        let written = text(|json| json.text("text", "\"a\\\n\u{1f}\0é\u{2028}🙂"));
        assert_eq!(written, "{\"text\":\"\\\"a\\\\\\u000a\\u001f\\u0000é\u{2028}🙂\"},");
    }
}
