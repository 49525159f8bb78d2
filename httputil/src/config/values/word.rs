//! Words that stand for a value: `"none"` switches a key off, inherited values included; `"auto"` leaves it to us.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer, de};

/// A value, or `"none"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrNone<T>(pub(crate) Option<T>);

/// A value, or `"auto"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrAuto<T>(pub(crate) Option<T>);

/// The value, written as text, as a list or as a whole number, unless it is the word.
fn unless<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    word: &'static str,
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    struct WordVisitor<T>(&'static str, PhantomData<T>);

    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for WordVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a value or {:?}", self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<T>, E> {
            if text == self.0 {
                return Ok(None);
            }
            T::deserialize(StrDeserializer::<E>::new(text)).map(Some)
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, items: A) -> Result<Option<T>, A::Error> {
            T::deserialize(de::value::SeqAccessDeserializer::new(items)).map(Some)
        }

        fn visit_map<A: de::MapAccess<'de>>(self, entries: A) -> Result<Option<T>, A::Error> {
            T::deserialize(de::value::MapAccessDeserializer::new(entries)).map(Some)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<T>, E> {
            T::deserialize(number.into_deserializer()).map(Some)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<T>, E> {
            T::deserialize(number.into_deserializer()).map(Some)
        }
    }

    deserializer.deserialize_any(WordVisitor(word, PhantomData))
}

macro_rules! word {
    ($type:ident, $word:literal) => {
        impl<'de, T: Deserialize<'de>> Deserialize<'de> for $type<T> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type<T>, D::Error> {
                unless($word, deserializer).map($type)
            }
        }

        impl<T: JsonSchema> JsonSchema for $type<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                format!("{}{}", T::schema_name(), stringify!($type)).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                json_schema!({ "anyOf": [generator.subschema_for::<T>(), { "const": $word }] })
            }
        }
    };
}

word!(OrNone, "none");
word!(OrAuto, "auto");
