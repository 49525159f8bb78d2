//! Keys of tables that serde reads before it knows what for.
//!
//! A struct with `flatten`, and an enum with `tag` or `untagged`, take a table as it is and look afterwards what is in it, in
//! their own code. Which keys they read, and at which of them they fail, is seen by having them read the table again:
//! without a key, with another one, or with a value in its place that nobody can read. It is done only where such tables
//! are, and of a table only as long as it is small.

use super::misfit::Misfit;
use super::settings_read::{Ignored, Keys, form_of};
use super::toml_text::parse_value;
use super::tree::{Entry, Node, Table, Value};

/// Tables with more keys are maps of something.
const LARGEST: usize = 32;

/// Longer names are not looked up.
const LONGEST: usize = 40;

/// Keys that nobody reads of one setting; where there are more, the type takes anything.
const MOST: usize = 8;

/// Reads the setting from this, with the poison in the place of that value.
type Again<'a> = dyn Fn(&Node, Option<&Node>) -> Result<(), Misfit> + 'a;

/// A setting, and those of its tables of which it is not known what is read.
pub(super) struct Hidden<'a> {
    setting: Node,
    tables: Vec<Vec<String>>,
    again: &'a Again<'a>,
}

impl<'a> Hidden<'a> {
    pub(super) fn of(setting: &Node, mut tables: Vec<Vec<String>>, again: &'a Again<'a>) -> Hidden<'a> {
        let mut setting = setting.clone();
        if let Value::Raw(text) = &setting.value
            && text.starts_with('{')
            && let Ok(table) = parse_value(text, &setting.origin)
        {
            setting = table;
        }
        // Who tries several forms reads a table several times.
        tables.sort_unstable();
        tables.dedup();
        tables.retain(|keys| table(&setting, keys).is_some_and(|table| table.len() <= LARGEST));
        Hidden { setting, tables, again }
    }

    fn is_read(&self, setting: &Node, keys: &[String]) -> bool {
        (self.again)(setting, node(setting, keys)).is_err()
    }

    /// Of a setting that was read: what is passed over, with the keys that are near and would be read.
    pub(super) fn find_passed_over(&self, found: &mut Keys) {
        let mut left = MOST;
        for keys in &self.tables {
            let Some(table) = table(&self.setting, keys) else {
                continue;
            };
            for (name, entry) in table {
                if self.is_read(&self.setting, &below(keys, name)) {
                    found.known.push(format!("{}.{name}", form_of(keys)));
                } else if left > 0 && name.len() <= LONGEST {
                    left -= 1;
                    let near = near(name).into_iter().filter(|near| self.would_be_read(keys, near));
                    let ignored = Ignored::of(name, &entry.key, table, near.collect());
                    found.ignored.push(ignored.within(keys));
                }
            }
        }
    }

    fn would_be_read(&self, keys: &[String], name: &str) -> bool {
        let mut with = self.setting.clone();
        let Some(table) = table_mut(&mut with, keys) else {
            return false;
        };
        if !table.contains_key(name) {
            let origin = self.setting.origin.clone();
            let key = origin.clone();
            let node = Node::new(origin, Value::Text(String::new()));
            table.insert(name.to_owned(), Entry { key, node });
        }
        self.is_read(&with, &below(keys, name))
    }

    /// Of a setting that lacks a key in the table at `keys`: what is that key if it is called so.
    pub(super) fn find_misspelt(&self, keys: &[String], missing: &str, found: &mut Keys) {
        if !self.tables.iter().any(|table| table == keys) {
            return;
        }
        let Some(table) = table(&self.setting, keys) else {
            return;
        };
        for (name, entry) in table {
            let mut renamed = self.setting.clone();
            if let Some(table) = table_mut(&mut renamed, keys)
                && let Some(entry) = table.remove(name)
            {
                table.insert(missing.to_owned(), entry);
            }
            if (self.again)(&renamed, None).is_ok() {
                let ignored = Ignored::of(name, &entry.key, table, vec![missing.to_owned()]);
                found.ignored.push(ignored.within(keys));
            }
        }
    }

    /// The misfit at the value that is to blame, if that is in one of the tables and can be told.
    pub(super) fn blamed(&self, misfit: Misfit) -> Misfit {
        if misfit.missing().is_some() || !self.tables.iter().any(|table| table == misfit.keys()) {
            return misfit;
        }
        let mut keys = misfit.keys().to_vec();
        while let Some(key) = self.to_blame(&keys, &misfit) {
            keys.push(key);
        }
        match node(&self.setting, &keys) {
            Some(node) if keys.len() > misfit.keys().len() => misfit.of(keys, &node.origin),
            _ => misfit,
        }
    }

    /// The one key of a table without which the setting fits, or fails otherwise, and whose value was asked for.
    fn to_blame(&self, keys: &[String], misfit: &Misfit) -> Option<String> {
        let table = table(&self.setting, keys).filter(|table| table.len() <= LARGEST)?;
        let is_to_blame = |name: &&String| {
            let mut without = self.setting.clone();
            if let Some(table) = table_mut(&mut without, keys) {
                table.remove(*name);
            }
            match (self.again)(&without, None) {
                Ok(()) => true,
                Err(other) if other.message() == misfit.message() => false,
                Err(_) => {
                    let poisoned = (self.again)(&self.setting, node(&self.setting, &below(keys, name)));
                    poisoned
                        .is_err_and(|other| other.wanted() == misfit.wanted() && other.message() != misfit.message())
                }
            }
        };
        let mut to_blame = table.keys().filter(is_to_blame);
        let first = to_blame.next()?;
        to_blame.next().is_none().then(|| first.clone())
    }
}

fn below(keys: &[String], name: &str) -> Vec<String> {
    keys.iter()
        .map(String::as_str)
        .chain([name])
        .map(str::to_owned)
        .collect()
}

fn node<'a>(setting: &'a Node, keys: &[String]) -> Option<&'a Node> {
    keys.iter().try_fold(setting, |node, key| match &node.value {
        Value::Table(table) => table.get(key).map(|entry| &entry.node),
        Value::List(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

fn table<'a>(setting: &'a Node, keys: &[String]) -> Option<&'a Table> {
    node(setting, keys)?.as_table()
}

fn table_mut<'a>(setting: &'a mut Node, keys: &[String]) -> Option<&'a mut Table> {
    let node = keys.iter().try_fold(setting, |node, key| match &mut node.value {
        Value::Table(table) => table.get_mut(key).map(|entry| &mut entry.node),
        Value::List(items) => items.get_mut(key.parse::<usize>().ok()?),
        _ => None,
    })?;
    match &mut node.value {
        Value::Table(table) => Some(table),
        _ => None,
    }
}

/// All names that are one slip away: a letter too many, too few, changed, or two turned around.
fn near(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let all = || ('a'..='z').chain('0'..='9').chain(['_']);
    let with = |at: usize, taken: usize, put: &[char]| -> String {
        letters[..at].iter().chain(put).chain(&letters[at + taken..]).collect()
    };
    let mut near = Vec::new();
    for at in 0..=letters.len() {
        near.extend(all().map(|letter| with(at, 0, &[letter])));
        if at < letters.len() {
            near.push(with(at, 1, &[]));
            near.extend(all().map(|letter| with(at, 1, &[letter])));
        }
        if let [one, other, ..] = letters[at..] {
            near.push(with(at, 2, &[other, one]));
        }
    }
    near.retain(|other| other != name && !other.is_empty());
    near
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn names_that_are_one_slip_away() {
        let near = near("szie");
        for name in ["size", "szi", "szie_", "zie", "szia", "1szie", "sz_ie"] {
            assert!(near.iter().any(|near| near == name), "{name}");
        }
        assert!(!near.iter().any(|near| near == "szie" || near == "siez"));
    }
}
