//! The walk over one layer, key by key along the schema: every problem is found, nothing stops at the first.
//!
//! What is wrong is taken out of the layer, so that the later steps (inheritance, contradictions) work on the sound
//! rest and add what they find to the same list.

use std::path::Path;

use super::kind::{beneath, check as check_kind, wanted};
use super::layer::{Layer, LayerKind, name_beside, named, quoted, shown_key, within, wrong_value};
use super::names::{self, DEFAULT, GLOBAL, REGISTRY};
use super::overrides::split_list;
use super::planned::{self, Planned};
use super::problems::Problems;
use super::schema::{Key, Kind, Section, schema, schema_of};
use super::secrets;
use super::suggest;
use super::tree::{Entry, Node, Table, Value};
use super::values::{Item, Rule, parse_address};
use crate::connect::check_host;
use crate::error::{Origin, Problem};
use crate::files::is_no_path;
use crate::settings::check_header_name;

/// Checks all tables of a layer.
pub(crate) fn check(layer: &mut Layer, problems: &mut Problems) {
    let mut found = Problems::default();
    let mut walk = Walk {
        kind: layer.kind,
        folder: layer.folder.as_deref(),
        problems: &mut found,
    };
    layer.tables.retain(|name, entry| walk.top(name, entry));
    problems.append(found);
}

struct Walk<'a> {
    kind: LayerKind,
    folder: Option<&'a Path>,
    problems: &'a mut Problems,
}

/// What `"none"` says of a whole table: that of each of its keys that can be off.
fn all_off(section: &Section, word: &Node) -> Table {
    let off = section.keys.iter().filter(|(_, key)| key.none).map(|(name, _)| {
        let node = Node::new(word.origin.clone(), Value::Text("none".to_owned()));
        let key = word.origin.clone();
        (name.clone(), Entry { key, node })
    });
    off.collect()
}

impl Walk<'_> {
    fn top(&mut self, name: &str, entry: &mut Entry) -> bool {
        if matches!(entry.node.value, Value::List(_)) {
            self.problems.add(|| {
                let message = format!("a profile is one table, in single brackets, [{}]", shown_key(name));
                Problem::at(entry.key.clone(), message)
            });
            return false;
        }
        let Value::Table(table) = &mut entry.node.value else {
            let hint = match suggest::key(name) {
                Some(key) if schema().key(name).is_none() => format!(", as {key}"),
                _ => String::new(),
            };
            self.problems.add(|| {
                let place = "stands outside of a profile; write it below [default] or a profile's own table";
                Problem::at(entry.key.clone(), format!("{}: {place}{hint}", shown_key(name)))
            });
            return false;
        };
        if let Some(why) = names::refuse_profile(name) {
            let why = match only_below(table).filter(|_| ["profile", "profiles"].contains(&name)) {
                Some(meant) => format!("a profile's table has only its name; write [{meant}]"),
                None => why,
            };
            self.problems
                .add(|| Problem::at(entry.key.clone(), format!("[{}]: {why}", shown_key(name))));
            return false;
        }
        self.section(name, "", schema_of(name), table);
        true
    }

    fn section(&mut self, profile: &str, path: &str, section: &Section, table: &mut Table) {
        table.retain(|name, entry| {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match section.keys.get(name) {
                Some(key) => self.key(profile, &path, key, entry),
                None => self.unknown(profile, &path, entry),
            }
        });
    }

    fn key(&mut self, profile: &str, path: &str, key: &Key, entry: &mut Entry) -> bool {
        if let Some(why) = misplaced(self.kind, profile, path, key) {
            self.problems.add(|| problem(&entry.key, profile, path, &why));
            return false;
        }
        match &key.kind {
            Kind::Section(section) => {
                if let Value::Table(table) = &mut entry.node.value {
                    self.section(profile, path, section, table);
                    return true;
                }
                if key.none && entry.node.as_text() == Some("none") {
                    entry.node.value = Value::Table(all_off(section, &entry.node));
                    return true;
                }
                // Its value is not shown: `proxy = "http://user:password@host"` is a likely mistake.
                let hint = suggest::nearest(path, leaves_at_top());
                let hint = hint.map(|near| format!("; did you mean {}?", spell(self.kind, profile, "", near)));
                let kind = self.kind;
                let hint = hint.or_else(|| suggest::switch(path).map(|switch| switch_off(kind, profile, switch)));
                let message = format!("a table is wanted here, [{profile}.{path}]{}", hint.unwrap_or_default());
                self.problems
                    .add(|| problem(&entry.node.origin, profile, path, &message));
                false
            }
            Kind::Free => self.free(profile, path, entry),
            Kind::Addresses => self.addresses(profile, path, key, entry),
            Kind::Headers => self.headers(profile, path, key, entry),
            Kind::Names if matches!(entry.node.value, Value::List(_)) => {
                self.names(profile, path, entry);
                true
            }
            _ => match check_kind(key, &mut entry.node, self.folder) {
                Ok(()) => match key.kind {
                    Kind::List(item) => self.items(profile, path, item, &mut entry.node),
                    _ => true,
                },
                Err(message) => {
                    self.wrong(profile, path, key, &entry.node, &message);
                    false
                }
            },
        }
    }

    fn wrong(&mut self, profile: &str, path: &str, key: &Key, node: &Node, message: &str) {
        self.problems.add(|| {
            let origin = node.origin.clone();
            let valued =
                |value: String, message: &str| wrong_value(node.origin.clone(), profile, path, &value, message);
            match &node.value {
                _ if matches!(key.kind, Kind::Secret | Kind::Headers) => problem(&origin, profile, path, message),
                Value::Table(_) => {
                    // Of a variable the whole name is told: the table is there only because of a key below it.
                    let below = named(&origin).and_then(|named| Some(named.strip_prefix(path)?.to_owned()));
                    let near = suggest::nearest(path, sections()).map(|near| match &below {
                        Some(below) => self.kind.spell(profile, &format!("{near}{below}")),
                        None => near.to_owned(),
                    });
                    let near = near.map(|near| format!("; did you mean {near}?"));
                    let message = format!("{message}, found a table{}", near.unwrap_or_default());
                    problem(&origin, profile, path, &message)
                }
                Value::List(_) if !matches!(key.kind, Kind::Names | Kind::List(_)) => {
                    let message = format!("{}, found a list", wanted(key));
                    problem(&origin, profile, path, &message)
                }
                Value::Raw(text) | Value::Text(text) if is_no_path(text) && may_be_a_path(key) => {
                    problem(&origin, profile, path, message)
                }
                Value::Raw(text) | Value::Text(text)
                    if matches!(
                        key.kind,
                        Kind::List(Item::Url | Item::Origin | Item::Base | Item::Egress | Item::Host)
                            | Kind::Ruled(Rule::TokenUrl)
                            | Kind::Proxy
                    ) && may_hold_a_secret(text) =>
                {
                    problem(&origin, profile, path, message)
                }
                Value::Raw(text) if text.len() > 1 && text.starts_with(['"', '\'']) && text.ends_with(['"', '\'']) => {
                    valued(quoted(text), &format!("{message}; leave the quotes out"))
                }
                Value::Raw(text) | Value::Text(text) => valued(quoted(text), message),
                Value::List(_) | Value::Elsewhere(_) | Value::Whole(i128::MAX | i128::MIN) => {
                    problem(&origin, profile, path, message)
                }
                Value::Whole(number) => valued(number.to_string(), message),
                Value::Float(number) => valued(format!("{number:?}"), message),
                Value::Flag(flag) => valued(flag.to_string(), message),
                Value::Date(date) => valued(date.clone(), message),
            }
        });
    }

    /// Looks at each item of a list, and makes paths relative to their folder.
    fn items(&mut self, profile: &str, path: &str, item: Item, list: &mut Node) -> bool {
        let Value::List(items) = &mut list.value else {
            return true;
        };
        let may_hide = |text: &str| match item {
            Item::Url | Item::Origin | Item::Base | Item::Egress | Item::Host => may_hold_a_secret(text),
            Item::Path => is_no_path(text),
            _ => false,
        };
        // The commas of a variable may have cut a password in two.
        let raw = |url: &Node| matches!(&url.value, Value::Raw(text) if may_hide(text));
        let hidden = items.iter().any(raw);
        let mut fine = true;
        for node in items {
            if item == Item::Status {
                // A number in a file, a text from elsewhere; serde reads a number.
                let text = match &node.value {
                    Value::Whole(number) => Some(number.to_string()),
                    Value::Raw(text) => Some(text.clone()),
                    _ => None,
                };
                let checked = text.as_deref().ok_or(item.wanted().into());
                let Err(message) = checked.and_then(|text| item.check(text)) else {
                    if let Some(number) = text.and_then(|text| text.parse().ok()) {
                        node.value = Value::Whole(number);
                    }
                    continue;
                };
                fine = false;
                self.problems.add(|| match &text {
                    Some(text) => wrong_value(node.origin.clone(), profile, path, text, &message),
                    None => problem(&node.origin, profile, path, &message),
                });
                continue;
            }
            let text = node.as_text();
            let checked = text.ok_or(item.wanted().into()).and_then(|text| {
                item.check(text)?;
                (item == Item::Path).then(|| beneath(self.folder, text)).transpose()
            });
            let message = match checked {
                Ok(path) => {
                    if let Some(path) = path {
                        node.value = Value::Text(path);
                    }
                    continue;
                }
                Err(message) => message,
            };
            fine = false;
            self.problems.add(|| match text {
                Some(text) if !hidden && !may_hide(text) => {
                    wrong_value(node.origin.clone(), profile, path, &quoted(text), &message)
                }
                _ => problem(&node.origin, profile, path, &message),
            });
        }
        fine
    }

    /// Takes out what is no name, so that the names beside it are looked up all the same.
    fn names(&mut self, profile: &str, path: &str, entry: &mut Entry) {
        let Value::List(names) = &mut entry.node.value else {
            return;
        };
        names.retain(|name| {
            let is_text = name.as_text().is_some();
            if !is_text {
                let message = format!("expected a profile's name, found {}", name.value.what());
                self.problems.add(|| problem(&name.origin, profile, path, &message));
            }
            is_text
        });
    }

    fn free(&mut self, profile: &str, path: &str, entry: &mut Entry) -> bool {
        let Value::Table(table) = &mut entry.node.value else {
            let message = format!("a table is wanted here, [{profile}.{path}]");
            self.problems
                .add(|| problem(&entry.node.origin, profile, path, &message));
            return false;
        };
        table.retain(|name, entry| {
            let fine = names::is_name(name);
            if !fine {
                let hint = names::as_name(name)
                    .map(|name| format!("; did you mean {name}?"))
                    .unwrap_or_default();
                let message =
                    format!("a setting's name is made of a-z, 0-9 and single _, and starts with a letter{hint}");
                let path = format!("{path}.{name}");
                self.problems.add(|| problem(&entry.key, profile, &path, &message));
            }
            fine
        });
        true
    }

    /// How a host is written where its dots would part a name.
    fn whole_overrides(&self, profile: &str, host: &str) -> String {
        let what = match self.kind {
            LayerKind::Variables => "a variable's name",
            _ => "a key",
        };
        let whole = self.kind.spell(profile, "dns.overrides");
        format!(
            "{what} can't hold the dots of a host; write {whole}={{ {} = [\"10.0.0.1\"] }}",
            quoted(host.trim_matches('"'))
        )
    }

    /// Looks at each host and each of its addresses; what is wrong is taken out.
    fn addresses(&mut self, profile: &str, path: &str, key: &Key, entry: &mut Entry) -> bool {
        let Value::Table(hosts) = &mut entry.node.value else {
            self.wrong(profile, path, key, &entry.node, &wanted(key));
            return false;
        };
        hosts.retain(|host, entry| {
            let path = format!("{path}.{}", shown_key(host));
            if let Value::Table(below) = &entry.node.value {
                let dotted = dotted(host, below);
                let message = match named(&entry.key) {
                    Some(_) => self.whole_overrides(profile, &dotted),
                    None => format!("a host with dots is one key; quote the host, {}", quoted(&dotted)),
                };
                self.problems.add(|| problem(&entry.key, profile, &path, &message));
                return false;
            }
            if let Err(message) = check_host(host) {
                self.problems.add(|| problem(&entry.key, profile, &path, &message));
                return false;
            }
            if matches!(entry.key, Origin::Variable(_))
                && host.contains('_')
                && named(&entry.key).is_some_and(|named| named == path)
            {
                let message = self.whole_overrides(profile, &host.replace('_', "."));
                self.problems.add(|| problem(&entry.key, profile, &path, &message));
                return false;
            }
            let list = match &entry.node.value {
                Value::Raw(text) => split_list(text, &entry.node.origin).ok(),
                Value::List(list) => Some(list.clone()),
                _ => None,
            };
            let Some(list) = list else {
                let message = "expected a list of addresses such as [\"10.0.0.1:443\"]";
                self.problems
                    .add(|| problem(&entry.node.origin, profile, &path, message));
                return false;
            };
            let mut fine = true;
            for address in &list {
                let text = address.as_text().unwrap_or_default();
                if let Err(message) = parse_address(text) {
                    fine = false;
                    self.problems
                        .add(|| wrong_value(address.origin.clone(), profile, &path, &quoted(text), &message));
                }
            }
            entry.node.value = Value::List(list);
            fine
        });
        true
    }

    /// Puts names in lower case, and looks at each value; what is wrong is taken out.
    fn headers(&mut self, profile: &str, path: &str, key: &Key, entry: &mut Entry) -> bool {
        let Value::Table(headers) = &mut entry.node.value else {
            self.wrong(profile, path, key, &entry.node, &wanted(key));
            return false;
        };
        for (written, mut entry) in std::mem::take(headers) {
            let at = format!("{path}.{written}");
            let mut name = written.to_ascii_lowercase();
            // A variable's name has no other way to write it.
            if matches!(entry.key, Origin::Variable(_)) && named(&entry.key).is_some_and(|named| named == at) {
                name = name.replace('_', "-");
            }
            let checked = match &entry.node.value {
                _ if check_header_name(&name).is_err() => {
                    Err("expected the name of a header such as \"x-team\"".into())
                }
                _ if headers.contains_key(&name) => Err("this header is written twice".into()),
                // `X__TEAM` is a part of a part.
                Value::Table(below)
                    if matches!(entry.key, Origin::Variable(_))
                        && named(&entry.key).is_some_and(|named| named.starts_with(&format!("{at}."))) =>
                {
                    let rest = below.keys().next().map_or("", String::as_str);
                    let meant = self.kind.spell(profile, &format!("{at}-{rest}"));
                    Err(format!("in a variable one _ stands for a dash; did you mean {meant}?").into())
                }
                Value::Flag(false) => Ok(()),
                Value::Raw(text) if text == "false" => {
                    entry.node.value = Value::Flag(false);
                    Ok(())
                }
                Value::Flag(true) => Err("expected a text, or false to take an inherited header out".into()),
                _ => secrets::check(&mut entry.node, self.folder),
            };
            match checked {
                Ok(()) => drop(headers.insert(name, entry)),
                // Its value may be a secret.
                Err(message) => self.problems.add(|| problem(&entry.key, profile, &at, &message)),
            }
        }
        true
    }

    /// A key that is not in the schema: planned, or a mistake. Always taken out.
    fn unknown(&mut self, profile: &str, path: &str, entry: &mut Entry) -> bool {
        let planned = if profile == REGISTRY {
            planned::in_registry(path)
        } else {
            planned::in_profile(path)
        };
        let kind = self.kind;
        match (planned, &mut entry.node.value) {
            // No table was written here, only keys below it, each of them with a name to be mended.
            (Planned::No, Value::Table(table)) if is_below(&entry.key, path) => {
                table.retain(|name, entry| self.unknown(profile, &format!("{path}.{name}"), entry));
            }
            (Planned::No, _) => self.problems.add(|| {
                let table = entry
                    .node
                    .as_table()
                    .filter(|_| profile != REGISTRY)
                    .and_then(|_| suggest::section(path, sections()));
                let switch = || suggest::switch_meant(path).filter(|_| profile != REGISTRY);
                let hint = table
                    .map(str::to_owned)
                    .or_else(|| hint(kind, &entry.key, profile, path).filter(|_| switch().is_none()));
                let hint = hint
                    .map(|hint| format!("; did you mean {hint}?"))
                    .or_else(|| as_profile(kind, profile, path, entry))
                    .or_else(|| switch().map(|switch| switch_off(kind, profile, switch)))
                    .or_else(|| in_settings(kind, profile, path, entry));
                let message = format!("unknown key{}", hint.unwrap_or_default());
                problem(&entry.key, profile, path, &message).of_unknown_key()
            }),
            (Planned::Section, Value::Table(table)) => {
                table.retain(|name, entry| self.unknown(profile, &format!("{path}.{name}"), entry));
            }
            (Planned::Key | Planned::Section, _) => self.problems.add(|| {
                let message = "known, but not available in this version";
                problem(&entry.key, profile, path, message).of_unknown_key()
            }),
        }
        false
    }
}

/// Whether a URL, or what is meant as one, is not to be shown: it has a user, or a query.
fn may_hold_a_secret(url: &str) -> bool {
    url.contains(['@', '?'])
}

/// Whether the value is a path, or a list of them.
fn may_be_a_path(key: &Key) -> bool {
    matches!(key.kind, Kind::Path | Kind::List(Item::Path))
}

/// Why a key can't stand in this table or this kind of layer.
fn misplaced(kind: LayerKind, profile: &str, path: &str, key: &Key) -> Option<String> {
    if !key.own {
        return None;
    }
    match (path, profile) {
        ("description", GLOBAL) => Some("a description is a profile's own, and [global] is no profile".to_owned()),
        ("description", _) => None,
        ("inherits", GLOBAL | DEFAULT) => Some(format!("only profiles inherit, [{profile}] applies to all of them")),
        ("inherits", _) if kind == LayerKind::Variables => {
            Some("who inherits from whom is written in a file, not in a variable".to_owned())
        }
        (_, GLOBAL | DEFAULT) => Some(format!(
            "not in [{profile}]; name the pool in each profile that shares it"
        )),
        _ => None,
    }
}

/// Whether a variable can set the key in this table.
pub(crate) fn in_variables(table: &str, path: &str, key: &Key) -> bool {
    misplaced(LayerKind::Variables, table, path, key).is_none()
}

/// Whether the origin names a key below the path.
fn is_below(origin: &Origin, path: &str) -> bool {
    named(origin).is_some_and(|named| named.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The key that was meant by an unknown one.
fn hint(kind: LayerKind, origin: &Origin, profile: &str, path: &str) -> Option<String> {
    if profile == REGISTRY {
        let of_profiles = schema().key(path).is_some_and(|key| !key.own);
        return match suggest::in_registry(path) {
            None if of_profiles => Some(kind.spell(DEFAULT, path)),
            near => near.map(|near| spell(kind, profile, "", &near)),
        };
    }
    // `[pool]` at the top of a file would be a profile of that name.
    let moved = format!("{profile}.{path}");
    if schema().key(&moved).is_some() || planned::in_profile(&moved) != Planned::No {
        return Some(kind.spell(DEFAULT, &moved));
    }
    let section = path.rsplit_once('.').map_or("", |(section, _)| section);
    let near = suggest::setting(path)
        .or_else(|| suggest::key(path))
        .or_else(|| suggest::planned_key(path))
        .filter(|near| {
            let key = schema().key(near);
            key.is_none_or(|key| misplaced(kind, profile, near, key).is_none())
        })?;
    // In a variable's inline table a key of the same table is written as in a file.
    let inline = within(origin, path).is_some() && near.starts_with(&format!("{section}."));
    let kind = if inline { LayerKind::File } else { kind };
    Some(spell(kind, profile, section, &near))
}

/// How what a table is about is switched off, for the end of a message.
fn switch_off(kind: LayerKind, profile: &str, (key, value, what): (&str, &str, &str)) -> String {
    let key = match kind {
        LayerKind::File => format!("{key} = "),
        kind => format!("{}=", kind.spell(profile, key)),
    };
    format!("; {key}{value} {what}")
}

/// The name of the one profile that a table holds in place of keys.
fn only_below(table: &Table) -> Option<&str> {
    let mut below = table
        .iter()
        .filter(|(name, entry)| names::is_name(name) && entry.node.as_table().is_some());
    let (name, _) = below.next()?;
    Some(name.as_str()).filter(|_| below.next().is_none())
}

/// That a table is meant as a profile, by the keys that it holds, for the end of a message: `[httputil.telemetry]`,
/// `[my.service]`.
fn as_profile(kind: LayerKind, profile: &str, path: &str, entry: &Entry) -> Option<String> {
    let table = entry
        .node
        .as_table()
        .filter(|_| kind == LayerKind::File && names::is_name(path))?;
    let holds_keys = table.keys().any(|key| schema().keys.contains_key(key));
    let meant = match profile {
        "httputil" | "http" | "client" | "clients" => path.to_owned(),
        REGISTRY | GLOBAL | DEFAULT => return None,
        _ => format!("{profile}_{path}"),
    };
    holds_keys.then(|| format!("; if it is a profile, its name has no dot: [{meant}]"))
}

/// Where a value stands that only a service can know, for the end of a message.
fn in_settings(kind: LayerKind, profile: &str, path: &str, entry: &Entry) -> Option<String> {
    let is_of_service = kind == LayerKind::File
        && ![REGISTRY, GLOBAL].contains(&profile)
        && names::is_name(path)
        && entry.node.as_table().is_none();
    is_of_service.then(|| format!("; a service's own settings stand in [{profile}.settings]"))
}

/// A key as it would be written beside the wrong one: in a file, only its name if it is in the same table.
fn spell(kind: LayerKind, profile: &str, section: &str, path: &str) -> String {
    match kind {
        LayerKind::File if section.is_empty() => path.to_owned(),
        LayerKind::File => path
            .strip_prefix(section)
            .and_then(|rest| rest.strip_prefix('.'))
            .unwrap_or(path)
            .to_owned(),
        kind => kind.spell(profile, path),
    }
}

/// A problem of a key, which is named where the origin does not.
fn problem(origin: &Origin, profile: &str, path: &str, message: &str) -> Problem {
    let name = name_beside(origin, profile, path);
    Problem::at(origin.clone(), format!("{name}{message}"))
}

/// A host that was written without quotes, as far as it is one.
fn dotted(first: &str, below: &Table) -> String {
    match below.iter().next() {
        Some((next, entry)) if below.len() == 1 => match &entry.node.value {
            Value::Table(below) => format!("{first}.{}", dotted(next, below)),
            _ => format!("{first}.{next}"),
        },
        _ => format!("{first}.…"),
    }
}

fn leaves_at_top() -> impl Iterator<Item = &'static str> {
    let leaf = |(name, key): (&'static String, &Key)| (!matches!(key.kind, Kind::Section(_))).then_some(name.as_str());
    schema().keys.iter().filter_map(leaf)
}

fn sections() -> impl Iterator<Item = &'static str> + Clone {
    let section = |(name, key): (&'static String, &Key)| {
        matches!(key.kind, Kind::Section(_) | Kind::Free).then_some(name.as_str())
    };
    schema().keys.iter().filter_map(section)
}
