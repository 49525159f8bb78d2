//! A service as the derive understands it: what `check` makes and `expand` prints.

use proc_macro2::Span;
use syn::{Expr, Generics, Ident, Path, Type, Visibility};

use crate::types;

/// An annotated struct.
pub(crate) struct Service {
    /// The struct's name, for impls and messages.
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// Where httputil's items are found.
    pub(crate) krate: Path,
    pub(crate) profile: Profile,
    pub(crate) constructor: Constructor,
    /// Whether `Drop` is written.
    pub(crate) drop: bool,
    /// Called once for each service, when it stops.
    pub(crate) on_stop: Option<Path>,
    /// Whether the type has a pool of its own.
    pub(crate) isolated: bool,
    /// Whether the profiles' names are left to run time.
    pub(crate) unchecked: bool,
    /// In the order of the struct.
    pub(crate) fields: Vec<Field>,
}

/// A profile's name and the literal that it was written in.
#[derive(Clone)]
pub(crate) struct Profile {
    pub(crate) name: String,
    pub(crate) span: Span,
    /// Whether the name keeps the rules for names; only then is it looked up.
    pub(crate) valid: bool,
}

/// The constructors' visibility and names.
pub(crate) struct Constructor {
    pub(crate) vis: Visibility,
    /// Takes the process-wide registry.
    pub(crate) global: Ident,
    /// Takes the registry as its first argument.
    pub(crate) explicit: Ident,
}

/// A named field and where its value comes from.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) role: Role,
}

/// Where a field's value comes from.
pub(crate) enum Role {
    /// A lease on a profile's pool.
    Client(Profile),
    /// `[profile.settings]`, under this key.
    Setting { key: String, fallback: Fallback },
    /// `Default::default()`, or the expression.
    Default(Option<Expr>),
    /// The caller.
    Argument,
}

/// What a setting that is not set becomes.
pub(crate) enum Fallback {
    /// An error.
    Required,
    /// `None`; the type is what the `Option` holds.
    None(Type),
    /// `Default::default()`.
    Default,
    /// The expression's value.
    Expr(Expr),
}

impl Service {
    /// Whether each field has a size; else the struct has none, and can have no implementations.
    pub(crate) fn is_sized(&self) -> bool {
        self.fields.iter().all(|field| types::sized(&field.ty).is_none())
    }

    /// The fields that the caller passes to the constructors, in order.
    pub(crate) fn arguments(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|field| matches!(field.role, Role::Argument))
    }

    /// The fields that hold clients, the one of the struct's own profile first.
    pub(crate) fn clients(&self) -> Vec<&Field> {
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for field in &self.fields {
            match &field.role {
                Role::Client(profile) if profile.name == self.profile.name => own.push(field),
                Role::Client(_) => others.push(field),
                _ => {}
            }
        }
        own.append(&mut others);
        own
    }

    /// The keys of the settings, in the order of the fields.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter_map(|field| match &field.role {
            Role::Setting { key, .. } => Some(key.as_str()),
            _ => None,
        })
    }

    /// Every profile that the service names: the struct's, then those of its other clients.
    pub(crate) fn profiles(&self) -> Vec<&Profile> {
        let mut all = vec![&self.profile];
        for field in &self.fields {
            if let Role::Client(profile) = &field.role
                && all.iter().all(|known| known.name != profile.name)
            {
                all.push(profile);
            }
        }
        all
    }
}
