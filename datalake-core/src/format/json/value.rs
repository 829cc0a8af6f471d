//! A JSON value that is parsed level by level, its numbers kept as they are written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A value, of which lists and objects hold theirs unparsed.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    List(Vec<&'a RawValue>),
    Object(Vec<(Cow<'a, str>, &'a RawValue)>),
}

impl<'a> Value<'a> {
    /// Parses one level.
    pub(crate) fn of(raw: &'a RawValue) -> serde_json::Result<Self> {
        Self::of_text(raw.get())
    }

    /// Parses one level of a text that may be no JSON. All levels below are checked too.
    pub(crate) fn of_text(text: &'a str) -> serde_json::Result<Self> {
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'{') => Ok(Self::Object(serde_json::from_str::<Members<'a>>(text)?.0)),
            Some(b'[') => serde_json::from_str(text).map(Self::List),
            Some(b'"') => Ok(Self::Text(serde_json::from_str::<Text<'a>>(text)?.0)),
            Some(b't' | b'f') => serde_json::from_str(text).map(Self::Bool),
            Some(b'n') => serde_json::from_str::<()>(text).map(|()| Self::Null),
            _ => serde_json::from_str::<&RawValue>(text).map(|raw| Self::Number(raw.get())),
        }
    }
}

/// A string, borrowed where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// The members of an object in their order, repeated names included.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A value's text without the blanks between its parts.
pub(crate) fn minified(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut in_string, mut is_escaped) = (false, false);
    for character in json.chars() {
        if !in_string && character.is_ascii_whitespace() {
            continue;
        }
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_string => is_escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_they_are_written() {
        let Value::Object(members) = Value::of_text(r#"{"a": 1.50, "b": 12345678901234567890}"#).unwrap() else {
            panic!("an object");
        };
        assert!(matches!(Value::of(members[0].1), Ok(Value::Number("1.50"))));
        assert!(matches!(Value::of(members[1].1), Ok(Value::Number("12345678901234567890"))));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "{", "{\"a\":}", "[1,]", "nan", "01", "1.", "{} {}", "{'a':1}", "\"\\ud800\""] {
            assert!(Value::of_text(text).is_err(), "{text}");
        }
    }

    #[test]
    fn blanks_in_strings_are_kept() {
        assert_eq!(minified("{ \"a b\\\" \" : [ 1 ,\n2 ] }"), "{\"a b\\\" \":[1,2]}");
    }
}
