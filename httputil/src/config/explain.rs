//! Why a profile is as it is: every key's value in force, who set it, and what that hides.
//!
//! ```text
//! telemetry
//! timeout                        "10s"       HTTPUTIL_GLOBAL__TIMEOUT, over httputil.toml:7:11
//! pool.idle_timeout              "1m30s"     built-in default
//! settings.endpoint              (not shown) httputil.toml:10:12 [internal]
//! ```
//!
//! It is read off the layers as they were written, so nothing is recorded while loading. A service's own values are
//! never shown: only the service knows which of them are secrets.

use std::fmt;

use super::effective::{NOT_SHOWN, registry_values, values};
use super::layer::quoted;
use super::loaded::Config;
use super::merge::Chain;
use super::names::REGISTRY;
use super::tree::{Node, Value};
use crate::connect::{proxy_variable, roots_variable};
use crate::error::{Error, Origin};
use crate::settings::{Pool, Profile};

/// A profile, key by key; made by [`Config::explain`]. `Display` is a table to read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The profile's name, or `registry`.
    pub profile: String,
    /// Its keys: those at its top, then section by section, then the service's own settings.
    pub keys: Vec<ExplainedKey>,
}

/// One key of an [`Explanation`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedKey {
    /// The key, such as `pool.idle_timeout` or `settings.endpoint`.
    pub key: String,
    /// The value in force, as it would be written in a file, long texts cut. `None` for secrets, and for
    /// settings, which may be some.
    pub value: Option<String>,
    /// Where it is written, the place in force first, then those that it shadows; empty if the default counts. A
    /// setting that is a table is laid together from all of its places.
    pub places: Vec<Place>,
    /// The key, or the proxy variable, that an unwritten one takes its value from, where that is not the built-in default:
    /// a written `pool.max_idle` lowers `pool.max_idle_per_host`. Of `tls.roots` `SSL_CERT_FILE` or `SSL_CERT_DIR`, where
    /// the environment has them and the platform's roots come from there.
    pub follows: Option<&'static str>,
}

/// A place where a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The table: `global`, the profile, a profile that it inherits from, `default`.
    pub table: String,
    /// The line, the variable or the code.
    pub origin: Origin,
}

impl Explanation {
    /// One key of it.
    #[must_use]
    pub fn key(&self, key: &str) -> Option<&ExplainedKey> {
        self.keys.iter().find(|explained| explained.key == key)
    }
}

impl ExplainedKey {
    /// Who set the value in force.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.places.first().map_or(&Origin::BuiltIn, |place| &place.origin)
    }

    /// The values that do not count because of it, strongest first.
    #[must_use]
    pub fn shadowed(&self) -> &[Place] {
        self.places.get(1..).unwrap_or_default()
    }
}

impl Config {
    /// Every key of a profile with its value in force, who set it, and what that hides; `registry` explains
    /// `[registry]`.
    ///
    /// ```
    /// use httputil::{Config, Environment};
    ///
    /// let environment = Environment::empty().with("HTTPUTIL_GLOBAL__TIMEOUT", "5s");
    /// let text = "[telemetry]\ntimeout = \"10s\"";
    /// let config = Config::builder().embedded("built in", text).env(&environment).load()?;
    /// let telemetry = config.explain("telemetry")?;
    /// let timeout = telemetry.key("timeout").unwrap();
    /// assert_eq!(timeout.value.as_deref(), Some("\"5s\""));
    /// assert_eq!(timeout.origin().to_string(), "HTTPUTIL_GLOBAL__TIMEOUT");
    /// assert_eq!(timeout.shadowed()[0].origin.to_string(), "built in:2:11");
    /// println!("{telemetry}");
    /// # Ok::<(), httputil::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That there is no such profile, with the nearest name.
    pub fn explain(&self, profile: &str) -> Result<Explanation, Error> {
        if profile == REGISTRY {
            return Ok(self.explain_registry());
        }
        let settings = in_this_program(self.profile(profile)?);
        let chain = self.chain(profile)?;
        let built_in = values(&in_this_program(Profile::named(profile)));
        let mut keys: Vec<ExplainedKey> = values(&settings)
            .into_iter()
            .map(|(key, value)| {
                let unwritten = chain.written(key).next().is_none();
                let moved = unwritten && !built_in.contains(&(key, value.clone()));
                let value = (value != NOT_SHOWN).then_some(value);
                let mut explained = explained(&chain, key, value);
                explained.follows = leader(key, &settings.transport.pool).filter(|_| moved);
                if unwritten
                    && let Some((variable, value)) = proxy_variable(key, &settings.transport.proxy, self.environment())
                {
                    (explained.follows, explained.value) = (Some(variable), value);
                }
                if key == "tls.roots" {
                    explained.follows = roots_variable(&settings.transport.tls, self.environment());
                }
                explained
            })
            .collect();
        if let Some((_, parents)) = chain.written("inherits").next() {
            keys.push(explained(&chain, "inherits", Some(names(parents))));
        }
        for key in self.setting_keys(profile)? {
            keys.push(explained(&chain, &format!("settings.{key}"), None));
        }
        keys.sort_by(|one, other| (group(&one.key), &one.key).cmp(&(group(&other.key), &other.key)));
        Ok(Explanation {
            profile: profile.to_owned(),
            keys,
        })
    }

    fn explain_registry(&self) -> Explanation {
        let chain = self.registry_chain();
        let values = registry_values(&self.registry());
        Explanation {
            profile: REGISTRY.to_owned(),
            keys: values
                .into_iter()
                .map(|(key, value)| explained(&chain, key, Some(value)))
                .collect(),
        }
    }
}

fn explained(chain: &Chain<'_>, key: &str, value: Option<String>) -> ExplainedKey {
    let place = |(table, node): (&str, &Node)| Place {
        table: table.to_owned(),
        origin: node.origin.clone(),
    };
    // Tables are laid together, so that an empty one says nothing beside others.
    let is_empty = |node: &Node| node.as_table().is_some_and(std::collections::BTreeMap::is_empty);
    let all_empty = chain.written(key).all(|(_, node)| is_empty(node));
    let says_something = |node: &Node| all_empty || !is_empty(node);
    ExplainedKey {
        key: key.to_owned(),
        value,
        places: chain
            .written(key)
            .filter(|(_, node)| says_something(node))
            .map(place)
            .collect(),
        follows: None,
    }
}

/// The key that another one follows while it is not written itself.
fn leader(key: &str, pool: &Pool) -> Option<&'static str> {
    match key {
        "pool.max_idle" => Some("pool.max_idle_per_host"),
        "pool.max_idle_per_host" if pool.max_idle_per_host > Pool::default().max_idle_per_host => {
            Some("pool.min_idle_per_host")
        }
        "pool.max_idle_per_host" => Some("pool.max_idle"),
        "tcp.keepalive_interval" => Some("tcp.keepalive"),
        "timeouts.read" | "timeouts.write" => Some("timeout"),
        _ => None,
    }
}

fn names(parents: &Node) -> String {
    let Value::List(parents) = &parents.value else {
        return String::new();
    };
    let parents: Vec<String> = parents.iter().filter_map(Node::as_text).map(quoted).collect();
    format!("[{}]", parents.join(", "))
}

/// Keys at the top come first, the service's own last.
fn group(key: &str) -> u8 {
    match key.split_once('.') {
        None => 0,
        Some(("settings", _)) => 2,
        Some(_) => 1,
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |key: &ExplainedKey| key.value.clone().unwrap_or_else(|| "(not shown)".to_owned());
        let width = |text: &str| text.chars().count();
        let keys = self.keys.iter().map(|key| width(&key.key)).max().unwrap_or_default();
        // One long text must not push every origin out of sight.
        let values = self
            .keys
            .iter()
            .map(|key| width(&shown(key)))
            .filter(|width| *width <= 24);
        let values = values.max().unwrap_or_default();
        writeln!(f, "{}", self.profile)?;
        for key in &self.keys {
            write!(f, "{:keys$}  {:values$}  ", key.key, shown(key))?;
            match (key.places.first(), key.follows) {
                (Some(place), Some(leader)) => {
                    self.write_place(f, place)?;
                    write!(f, ", follows {leader}")?;
                }
                (Some(place), None) => self.write_place(f, place)?,
                (None, Some(leader)) => write!(f, "follows {leader}")?,
                (None, None) => write!(f, "{}", Origin::BuiltIn)?,
            }
            for place in key.shadowed() {
                f.write_str(", over ")?;
                self.write_place(f, place)?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl Explanation {
    /// A variable's name says the table, a line does not.
    fn write_place(&self, f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
        write!(f, "{}", place.origin)?;
        match place.origin {
            Origin::File { .. } if place.table != self.profile => write!(f, " [{}]", place.table),
            _ => Ok(()),
        }
    }
}

/// With the codings only that this program was built with: of those that are accepted by default, no others are asked for.
fn in_this_program(mut profile: Profile) -> Profile {
    let accept = &mut profile.policy.compression.accept;
    accept.retain(|coding| coding.is_built_in());
    profile
}
