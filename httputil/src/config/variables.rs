//! Which variables there are for a profile, with today's values.

use super::effective::NOT_SET;
use super::explain::Place;
use super::layer::variable;
use super::loaded::Config;
use super::names::REGISTRY;
use super::schema::{Kind, schema_of};
use super::walk::in_variables;
use crate::error::{Error, Origin};

/// A variable that can be set; made by [`Config::variables`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// Its name: `HTTPUTIL_TELEMETRY__POOL__IDLE_TIMEOUT`.
    pub name: String,
    /// The key that it sets: `pool.idle_timeout`.
    pub key: String,
    /// The value in force, as it would be written in a file, long texts cut. `None` if there is none, and if it may be a
    /// secret, as the service's own settings may.
    pub value: Option<String>,
    /// Where the value in force is written, and in which table; `None` if it is written nowhere.
    pub place: Option<Place>,
    /// The key, or the proxy variable, that an unwritten one takes its value from, as in an
    /// [`ExplainedKey`](crate::ExplainedKey).
    pub follows: Option<&'static str>,
}

impl Variable {
    /// Whether the value in force comes from this variable.
    #[must_use]
    pub fn is_set(&self) -> bool {
        let of_this = |place: &Place| matches!(&place.origin, Origin::Variable(name) if **name == *self.name);
        self.place.as_ref().is_some_and(of_this)
    }
}

impl Config {
    /// Every variable that sets a key of the profile, or of `registry`: those of all keys that there are, then those of
    /// the settings that are written somewhere.
    ///
    /// ```
    /// use httputil::Config;
    ///
    /// let config = Config::builder().embedded("built in", "[telemetry]\ntimeout = \"10s\"").load()?;
    /// let variables = config.variables("telemetry")?;
    /// let timeout = variables.iter().find(|variable| variable.key == "timeout").unwrap();
    /// assert_eq!(timeout.name, "HTTPUTIL_TELEMETRY__TIMEOUT");
    /// assert_eq!(timeout.value.as_deref(), Some("\"10s\""));
    /// # Ok::<(), httputil::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// That there is no such profile, with the nearest name.
    pub fn variables(&self, profile: &str) -> Result<Vec<Variable>, Error> {
        let explanation = self.explain(profile)?;
        let keys = schema_of(profile).leaves().into_iter();
        let mut keys: Vec<String> = keys
            .filter(|(path, key)| !matches!(key.kind, Kind::Free) && in_variables(profile, path, key))
            .map(|(path, _)| path)
            .collect();
        // As `explain` has them: what is at the top comes first.
        keys.sort_by_key(|key| (key.contains('.'), key.clone()));
        if profile != REGISTRY {
            keys.extend(self.setting_keys(profile)?.iter().map(|key| format!("settings.{key}")));
        }
        let variable_of = |key: String| {
            let explained = explanation.key(&key);
            Variable {
                name: variable(profile, &key),
                value: explained
                    .and_then(|explained| explained.value.clone())
                    .filter(|value| value != NOT_SET),
                place: explained.and_then(|explained| explained.places.first().cloned()),
                follows: explained.and_then(|explained| explained.follows),
                key,
            }
        };
        Ok(keys.into_iter().map(variable_of).collect())
    }
}
