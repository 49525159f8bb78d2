//! serde over a tree: a value comes out as whatever type is asked for, a failure knows its place.
//!
//! Text from variables becomes what the type asks for: a number, a flag, a list, a table. `std::time::Duration` is read
//! from `"10s"`. Where only code of the type itself knows what it wants (serde's flattened, tagged and untagged types),
//! text of a setting is what it would be in a file: `1` is a number, `true` a flag, `'1'` and `one` are texts. Failures
//! never repeat a value: a service's settings may be secrets.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

use super::excerpt::Source;
use super::kind::whole;
use super::layer::quoted;
use super::overrides::split_list;
use super::secrets;
use super::settings_read::Keys;
use super::toml_text::parse_value;
use super::tree::{Entry, Node, Table, Value};
use super::values::parse_duration;
use crate::error::Origin;
use crate::settings::{Environment, SECRET};

pub(crate) use super::misfit::Misfit;

/// Reads one value.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    node: &'a Node,
    elsewhere: Option<SecretsElsewhere<'a>>,
    /// Whom to tell of the keys of tables.
    keys: Option<&'a RefCell<Keys>>,
    field: Option<Field<'a>>,
    /// The value in whose place nothing is given that a type could read.
    poison: Option<&'a Node>,
}

/// The key of a struct's table that a value is written at.
#[derive(Clone, Copy)]
struct Field<'a> {
    key: &'a str,
    origin: &'a Origin,
    table: &'a Table,
    known: &'static [&'static str],
}

/// Where a service's secrets may be kept: in variables, and in files beside those that name them.
#[derive(Clone, Copy)]
pub(crate) struct SecretsElsewhere<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) sources: &'a [Source],
}

impl<'a> Reader<'a> {
    /// Of a value whose secrets have been fetched.
    pub(crate) fn of(node: &'a Node) -> Reader<'a> {
        Reader {
            node,
            elsewhere: None,
            keys: None,
            field: None,
            poison: None,
        }
    }

    /// Of a service's own value, in which only its type says what is a secret.
    pub(crate) fn of_setting(
        node: &'a Node,
        elsewhere: SecretsElsewhere<'a>,
        keys: Option<&'a RefCell<Keys>>,
    ) -> Reader<'a> {
        Reader {
            node,
            elsewhere: Some(elsewhere),
            keys,
            field: None,
            poison: None,
        }
    }

    /// With bytes that are no text in this value's place: whoever reads it fails, and whoever passes it over does not.
    pub(crate) fn poisoned(self, poison: Option<&'a Node>) -> Reader<'a> {
        Reader { poison, ..self }
    }

    fn is_poisoned(self) -> bool {
        self.poison.is_some_and(|poison| std::ptr::eq(poison, self.node))
    }

    fn below(self, node: &'a Node) -> Reader<'a> {
        Reader {
            node,
            field: None,
            ..self
        }
    }

    /// Reads what is below a key, which has this form for every type that knows it.
    fn within<T>(self, key: &str, form: &str, read: impl FnOnce() -> T) -> T {
        let Some(keys) = self.keys else { return read() };
        let before = keys.borrow().mark();
        let value = read();
        keys.borrow_mut().put_below(before, key, form);
        value
    }

    fn wanted(self, wanted: &str) -> Misfit {
        de::Error::invalid_type(Unexpected::Other(self.node.value.what()), &wanted)
    }

    /// The secret that is written here, or fetched from where it is kept.
    fn secret(self) -> Result<String, Misfit> {
        let mut node = self.node.clone();
        let SecretsElsewhere { environment, sources } = self.elsewhere.ok_or_else(|| self.wanted("a text"))?;
        let folder = match &node.origin {
            Origin::File { path, .. } => sources.iter().find_map(|source| source.folder_of(path)),
            _ => None,
        };
        secrets::check(&mut node, folder).map_err(|why| Misfit::new(why.into_owned()))?;
        match node.value {
            Value::Elsewhere(elsewhere) => elsewhere.fetch(environment).map_err(Misfit::new),
            Value::Text(text) | Value::Raw(text) => Ok(text),
            _ => Err(Misfit::new(secrets::WANTED.to_owned())),
        }
    }

    fn items(self, items: &'a [Node]) -> Items<'a> {
        Items {
            reader: self,
            left: items.iter(),
            index: 0,
        }
    }

    /// The items as a list, all of which must be taken.
    fn list<'de, V: Visitor<'de>>(self, list: &'a [Node], visitor: V) -> Result<V::Value, Misfit> {
        let mut items = self.items(list);
        let value = visitor.visit_seq(&mut items)?;
        match items.left.len() {
            0 => Ok(value),
            left => Err(de::Error::invalid_length(
                list.len(),
                &format!("a list of length {}", list.len() - left).as_str(),
            )),
        }
    }

    /// The entries of a table; `known` are the fields of the struct that it is read into, if it is one that says so.
    fn entries(self, table: &'a Table, known: &'static [&'static str]) -> Entries<'a> {
        if let Some(keys) = self.keys {
            keys.borrow_mut().know(known);
        }
        Entries {
            reader: self,
            table,
            known,
            left: table.iter(),
            value: None,
        }
    }

    /// A table, read into a struct of these fields, or into what takes any.
    fn table<'de, V: Visitor<'de>>(self, known: &'static [&'static str], visitor: V) -> Result<V::Value, Misfit> {
        let read = match &self.node.value {
            Value::Raw(text) if text.starts_with('{') => parse_value(text, &self.node.origin)
                .map_err(Misfit::new)
                .and_then(|node| match &node.value {
                    Value::Table(table) => visitor.visit_map(self.entries(table, known)),
                    _ => self.below(&node).any(visitor),
                }),
            Value::Table(table) => visitor.visit_map(self.entries(table, known)),
            _ => self.any(visitor),
        };
        read.map_err(|misfit| misfit.at(self.node))
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.value {
            Value::Text(text) | Value::Raw(text) | Value::Date(text) => visitor.visit_str(text),
            Value::Whole(number) => visit_whole(*number, visitor),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Flag(flag) => visitor.visit_bool(*flag),
            Value::List(list) => self.list(list, visitor),
            Value::Table(table) => visitor.visit_map(self.entries(table, &[])),
            Value::Elsewhere(_) => Err(self.wanted("a secret that was fetched")),
        }
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.node.value {
            Value::Raw(text) => visit_whole(whole(text).ok_or_else(|| self.wanted("a whole number"))?, visitor),
            _ => self.any(visitor),
        }
    }
}

fn visit_whole<'de, V: Visitor<'de>>(number: i128, visitor: V) -> Result<V::Value, Misfit> {
    if let Ok(number) = i64::try_from(number) {
        visitor.visit_i64(number)
    } else if let Ok(number) = u64::try_from(number) {
        visitor.visit_u64(number)
    } else {
        visitor.visit_i128(number)
    }
}

macro_rules! unless_poisoned {
    ($reader:ident, $visitor:ident) => {
        if $reader.is_poisoned() {
            return $visitor
                .visit_bytes(&[0xff])
                .map_err(|misfit: Misfit| misfit.at($reader.node));
        }
    };
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            unless_poisoned!(self, visitor);
            self.number(visitor).map_err(|misfit| misfit.at(self.node))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        let read = match &self.node.value {
            Value::Raw(text) if self.elsewhere.is_some() => match parse_value(text, &self.node.origin) {
                Ok(node) => self.below(&node).any(visitor),
                Err(message) if text.starts_with('{') => Err(Misfit::new(message)),
                Err(_) => self.any(visitor),
            },
            _ => self.any(visitor),
        };
        read.map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        self.any(visitor).map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        let read = match &self.node.value {
            Value::Raw(text) => text
                .parse()
                .map_err(|_| self.wanted("a number"))
                .and_then(|number| visitor.visit_f64(number)),
            _ => self.any(visitor),
        };
        read.map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        let read = match &self.node.value {
            Value::Raw(text) => text
                .parse()
                .map_err(|_| self.wanted("a boolean"))
                .and_then(|flag| visitor.visit_bool(flag)),
            _ => self.any(visitor),
        };
        read.map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        let read = match &self.node.value {
            Value::Raw(text) => split_list(text, &self.node.origin)
                .map_err(Misfit::new)
                .and_then(|list| self.list(&list, visitor)),
            _ => self.any(visitor),
        };
        read.map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        self.table(&[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        // serde's own form of a `std::time::Duration` is a struct of two numbers, which nobody writes by hand.
        if name == "Duration" && fields == ["secs", "nanos"] {
            let wanted = || self.wanted("a duration such as \"10s\" or \"250ms\"").at(self.node);
            let text = self.node.as_text().ok_or_else(wanted)?;
            let duration = parse_duration(text).map_err(|why| {
                // The words in quotes may be the value's.
                let why = match why.strip_prefix("unknown unit ") {
                    Some(_) => "unknown unit; the units are h, m, s, ms and us",
                    None => &why,
                };
                Misfit::new(why.to_owned()).at(self.node)
            })?;
            let parts = [duration.as_secs(), u64::from(duration.subsec_nanos())];
            return visitor.visit_seq(de::value::SeqDeserializer::<_, Misfit>::new(parts.into_iter()));
        }
        self.table(fields, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        if name == SECRET {
            return self
                .secret()
                .and_then(|text| visitor.visit_string(text))
                .map_err(|misfit| misfit.at(self.node));
        }
        visitor
            .visit_newtype_struct(self)
            .map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        unless_poisoned!(self, visitor);
        let read = match &self.node.value {
            Value::Text(text) | Value::Raw(text) => {
                let variant: StrDeserializer<'_, Misfit> = text.as_str().into_deserializer();
                visitor.visit_enum(variant)
            }
            Value::Table(table) => visitor.visit_enum(Variants(self.entries(table, &[]))),
            _ => Err(self.wanted("a text")),
        };
        read.map_err(|misfit| misfit.at(self.node))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if let (Some(keys), Some(field)) = (self.keys, self.field) {
            let Field {
                key,
                origin,
                table,
                known,
            } = field;
            keys.borrow_mut().ignore(key, origin, table, known);
        }
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { unit unit_struct }
}

struct Items<'a> {
    reader: Reader<'a>,
    left: std::slice::Iter<'a, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Misfit> {
        let Some(item) = self.left.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        let index = index.to_string();
        self.reader
            .within(&index, "*", || seed.deserialize(self.reader.below(item)))
            .map(Some)
            .map_err(|misfit| misfit.at(item).within(&index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

struct Entries<'a> {
    reader: Reader<'a>,
    table: &'a Table,
    /// The fields of the struct, if it is one.
    known: &'static [&'static str],
    left: std::collections::btree_map::Iter<'a, String, Entry>,
    value: Option<(&'a str, &'a Entry)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Misfit> {
        let Some((key, entry)) = self.left.next() else {
            return Ok(None);
        };
        self.value = Some((key, entry));
        let reader: StrDeserializer<'_, Misfit> = key.as_str().into_deserializer();
        seed.deserialize(reader)
            .map(Some)
            .map_err(|misfit| misfit.at_key(&entry.key))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let (key, entry) = self
            .value
            .take()
            .ok_or_else(|| Misfit::new("a value was asked for before its key".to_owned()))?;
        let is_field = !self.known.is_empty();
        let reader = Reader {
            field: is_field.then_some(Field {
                key,
                origin: &entry.key,
                table: self.table,
                known: self.known,
            }),
            ..self.reader.below(&entry.node)
        };
        let form = if is_field { key } else { "*" };
        // What is passed over stands in this table, and not below the key.
        let read = if self.known.contains(&key) || !is_field {
            self.reader.within(key, form, || seed.deserialize(reader))
        } else {
            seed.deserialize(reader)
        };
        read.map_err(|misfit| misfit.at(&entry.node).within(key))
    }
}

/// A table whose one key names a variant.
struct Variants<'a>(Entries<'a>);

impl<'de, 'a> EnumAccess<'de> for Variants<'a> {
    type Error = Misfit;
    type Variant = Variants<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(mut self, seed: V) -> Result<(V::Value, Variants<'a>), Misfit> {
        match self.0.next_key_seed(seed)? {
            Some(variant) if self.0.left.len() == 0 => Ok((variant, self)),
            _ => Err(Misfit::new("expected a table with one key".to_owned())),
        }
    }
}

impl<'de> VariantAccess<'de> for Variants<'_> {
    type Error = Misfit;

    fn unit_variant(mut self) -> Result<(), Misfit> {
        let variant = self.0.value.map_or("", |(key, _)| key);
        let alone = Misfit::new(format!("this takes no value; write only {}", quoted(variant)));
        self.0.next_value().map_err(|_: Misfit| alone)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Misfit> {
        self.0.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, _: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.0.next_value_seed(OfVariant { fields: None, visitor })
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let fields = Some(fields);
        self.0.next_value_seed(OfVariant { fields, visitor })
    }
}

/// The value of a variant that has fields: of names, or of places.
struct OfVariant<V> {
    fields: Option<&'static [&'static str]>,
    visitor: V,
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for OfVariant<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        match self.fields {
            Some(fields) => deserializer.deserialize_struct("", fields, self.visitor),
            None => deserializer.deserialize_seq(self.visitor),
        }
    }
}
