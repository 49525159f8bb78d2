//! The rules: attributes as written, with the struct, become a [`Service`].
//!
//! Every rule that is broken adds an error at the token to change; what comes out is always a service, with the
//! likeliest meaning where something is wrong, so that `expand` can print its outline.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Fields, Ident, LitStr, Path, Type, parse_quote};

use crate::errors::Errors;
use crate::model::{Constructor, Fallback, Field, Profile, Role, Service};
use crate::parse::{self, OnField};
use crate::types::{self, ClientType, client_type, option_of};

/// Names that mean something else at the top of the file.
pub(crate) const RESERVED: [&str; 13] = [
    "global", "registry", "config", "env", "log", "profile", "profiles", "include", "version", "settings", "all",
    "none", "self",
];

/// Reads and checks one annotated item.
pub(crate) fn service(input: &DeriveInput, errors: &mut Errors) -> Service {
    let above = parse::on_struct(&input.attrs, errors);
    let krate = above.krate.unwrap_or_else(|| parse_quote!(::httputil));
    let profile = if let Some(literal) = &above.profile {
        profile(literal, errors)
    } else {
        if !above.profile_is_broken {
            let message = format!(
                "`{}` names no profile: write `#[pooled_client(profile = \"…\")]` above it (\"default\" is one)",
                input.ident
            );
            errors.at(input.ident.span(), message);
        }
        Profile {
            name: String::new(),
            span: input.ident.span(),
            valid: false,
        }
    };
    let (vis, name) = above
        .constructor
        .unwrap_or_else(|| (None, Ident::new("new", Span::mixed_site())));
    let explicit = if name == "new" {
        "with_registry".to_owned()
    } else {
        format!("{}_with", name.unraw())
    };
    let constructor = Constructor {
        vis: vis.unwrap_or_else(|| input.vis.clone()),
        explicit: Ident::new(&explicit, name.span()),
        global: name,
    };
    let fields = fields(input, &krate, &profile, errors);
    Service {
        ident: input.ident.clone(),
        generics: input.generics.clone(),
        krate,
        profile,
        constructor,
        drop: !above.no_drop,
        on_stop: above.on_stop,
        isolated: above.isolated,
        unchecked: above.unchecked,
        fields,
    }
}

fn fields(input: &DeriveInput, krate: &Path, own: &Profile, errors: &mut Errors) -> Vec<Field> {
    let name = &input.ident;
    let example = format!("`struct {name} {{ client: httputil::Client, … }}`");
    let written = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => &fields.named,
            Fields::Unnamed(fields) => {
                errors.on(fields, format!("a service's fields have names: write {example}"));
                return Vec::new();
            }
            Fields::Unit => {
                errors.on(name, format!("a service holds its client in a field: write {example}"));
                return Vec::new();
            }
        },
        Data::Enum(data) => {
            errors.on(
                data.enum_token,
                format!("a service is a struct with a client, not an enum: write {example}"),
            );
            return Vec::new();
        }
        Data::Union(data) => {
            errors.on(
                data.union_token,
                format!("a service is a struct with a client, not a union: write {example}"),
            );
            return Vec::new();
        }
    };
    let mut fields = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    let mut doubts = Doubts::default();
    for field in written {
        let Some(ident) = field.ident.clone() else { continue };
        let before = errors.count();
        if let Some(sized) = types::sized(&field.ty) {
            errors.on(
                &field.ty,
                format!("a service's fields have a known size: write `{sized}` instead"),
            );
        }
        let above = parse::on_field(&field.attrs, errors);
        let role = role(&ident, &field.ty, above, krate, own, &mut doubts, errors);
        if errors.count() > before {
            doubts.mistaken.push(ident.clone());
        }
        if let Role::Setting { key, .. } = &role {
            if keys.contains(key) {
                errors.at(
                    ident.span(),
                    format!("the setting `{key}` is read by two fields; give one `setting = \"…\"`"),
                );
            }
            keys.push(key.clone());
        }
        fields.push(Field {
            ident,
            ty: field.ty.clone(),
            role,
        });
    }
    clients(name, own, &fields, &doubts, errors);
    fields
}

/// Fields that may be meant to be the client.
#[derive(Default)]
struct Doubts {
    /// Whether one waits for the user's answer, so that nothing else is asked because of it.
    unclear: bool,
    /// The type of the first one that is a client within something, and an argument if there is another client.
    wrapped: Option<Type>,
    /// The type of one that is called so, and an argument if there is another client.
    called: Option<Type>,
    /// Those that a mistake was told of: what they are is not sure.
    mistaken: Vec<Ident>,
}

/// What a field is.
fn role(
    ident: &Ident,
    ty: &Type,
    above: OnField,
    krate: &Path,
    own: &Profile,
    doubts: &mut Doubts,
    errors: &mut Errors,
) -> Role {
    let OnField {
        client,
        argument,
        profile: other,
        profile_is_broken,
        setting,
        default,
    } = above;
    let is_client = client.is_some() || other.is_some() || profile_is_broken;
    if let Some(argument) = argument {
        if is_client || setting.is_some() || default.is_some() {
            errors.at(
                argument,
                "an `argument` comes from the caller: remove `argument`, or the other attributes",
            );
        }
        return Role::Argument;
    }
    if is_client {
        if let Some((span, _)) = setting {
            errors.at(span, "a client is no setting: keep the one or the other");
        } else if let Some((span, _)) = default {
            errors.at(
                span,
                "a client comes from its profile and takes no default: remove `default`",
            );
        }
        return Role::Client(match other {
            Some(literal) => profile(&literal, errors),
            // A name that no other client has, so that nothing more is said about it.
            None if profile_is_broken => Profile {
                name: format!("? of {ident}"),
                span: ident.span(),
                valid: false,
            },
            None => own.clone(),
        });
    }
    if let Some((span, key)) = setting {
        let key = setting_key(ident, span, key.as_ref(), errors);
        if let Some(reference) = types::reference_in(ty) {
            let instead = types::owned(reference).map_or_else(
                || "the type without `&`".to_owned(),
                |owned| format!("`{owned}` instead"),
            );
            errors.on(
                reference,
                format!("a setting has nobody to borrow from: write {instead}"),
            );
        }
        let fallback = match (default, option_of(ty)) {
            (Some((_, Some(expr))), _) => Fallback::Expr(expr),
            (Some((_, None)), _) => Fallback::Default,
            (None, Some(inner)) => Fallback::None(inner.clone()),
            (None, None) => Fallback::Required,
        };
        return Role::Setting { key, fallback };
    }
    if let Some((_, expr)) = default {
        return Role::Default(expr);
    }
    match client_type(ty, krate) {
        ClientType::Ours => Role::Client(own.clone()),
        ClientType::Unclear(written) => {
            doubts.unclear = true;
            let message = format!(
                "is `{written}` httputil's client? if so, write `httputil::Client` or mark the field \
                 `#[pooled_client(client)]`; if the caller passes it in, mark it `#[pooled_client(argument)]`"
            );
            errors.on(ty, message);
            Role::Argument
        }
        ClientType::Wrapped => {
            doubts.wrapped.get_or_insert_with(|| ty.clone());
            Role::Argument
        }
        ClientType::Not => {
            if ident.unraw() == "client" {
                doubts.called = Some(ty.clone());
            }
            Role::Argument
        }
    }
}

/// The rules about all clients together: one of the struct's own profile, and no profile twice.
fn clients(name: &Ident, own: &Profile, fields: &[Field], doubts: &Doubts, errors: &mut Errors) {
    let clients: Vec<(&Field, &Profile)> = fields
        .iter()
        .filter_map(|field| match &field.role {
            Role::Client(profile) => Some((field, profile)),
            _ => None,
        })
        .collect();
    for (index, (field, profile)) in clients.iter().enumerate() {
        let Some((first, _)) = clients[..index]
            .iter()
            .find(|(_, earlier)| earlier.name == profile.name)
            .filter(|(first, _)| {
                [&first.ident, &field.ident]
                    .into_iter()
                    .all(|ident| !doubts.mistaken.contains(ident))
            })
        else {
            continue;
        };
        let message = format!(
            "`{}` already is the client of this profile: give `{}` its own, `#[pooled_client(profile = \"…\")]`",
            first.ident, field.ident
        );
        errors.at(field.ident.span(), message);
    }
    if clients.is_empty() && !doubts.unclear {
        match (&doubts.wrapped, &doubts.called) {
            (Some(ty), _) => errors.on(
                ty,
                format!(
                    "`{name}` has no client: write `httputil::Client` here, with nothing around it: its clones are cheap \
                     and share the lease"
                ),
            ),
            (None, Some(ty)) => errors.on(
                ty,
                format!(
                    "`{name}` has no client that can be told by its type: write `httputil::Client` here, or, if this is \
                     another name of it, mark the field `#[pooled_client(client)]`"
                ),
            ),
            (None, None) => errors.at(
                name.span(),
                format!(
                    "`{name}` has no client: add a field `client: httputil::Client`, or, where the type has another \
                     name, mark the field `#[pooled_client(client)]`"
                ),
            ),
        }
    } else if !clients.is_empty() && own.valid && clients.iter().all(|(_, profile)| profile.name != own.name) {
        let message = format!(
            "`{name}` has no client of its own profile `{own}`: remove `profile` from one field, or write \
             `profile = \"{first}\"` above the struct",
            own = own.name,
            first = clients[0].1.name,
        );
        errors.at(own.span, message);
    }
}

fn profile(literal: &LitStr, errors: &mut Errors) -> Profile {
    let name = literal.value();
    let mut valid = true;
    if !is_name(&name) {
        valid = false;
        errors.on(literal, not_a_name("a profile's name", &name, "telemetry"));
    } else if RESERVED.contains(&name.as_str()) {
        valid = false;
        errors.on(
            literal,
            format!("`{name}` is reserved and names no profile; choose another name"),
        );
    }
    Profile {
        name,
        span: literal.span(),
        valid,
    }
}

fn setting_key(ident: &Ident, span: Span, written: Option<&LitStr>, errors: &mut Errors) -> String {
    if let Some(literal) = written {
        let key = literal.value();
        if !is_name(&key) {
            errors.on(literal, not_a_name("a setting's key", &key, "endpoint"));
        }
        return key;
    }
    let key = ident.unraw().to_string();
    if !is_name(&key) {
        let meant = named_like(&key).unwrap_or_else(|| "…".to_owned());
        errors.at(
            span,
            format!("the field's name `{key}` is no key for a setting: write `setting = \"{meant}\"`"),
        );
    }
    key
}

fn not_a_name(what: &str, written: &str, example: &str) -> String {
    match named_like(written) {
        Some(meant) => format!("{what} is lower-case words joined by `_`: did you mean \"{meant}\"?"),
        None => format!("{what} is lower-case words joined by `_`, such as \"{example}\""),
    }
}

/// Whether this is `[a-z][a-z0-9]*(_[a-z0-9]+)*`.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.split('_').all(|word| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        })
}

/// The name that was probably meant by `Tele-Metry`.
fn named_like(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut after_lower = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_ascii_alphanumeric() {
            let begins_a_word = characters.peek().is_some_and(char::is_ascii_lowercase);
            if character.is_ascii_uppercase() && after_lower && begins_a_word {
                name.push('_');
            }
            name.push(character.to_ascii_lowercase());
            after_lower = !character.is_ascii_uppercase();
        } else {
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
            after_lower = false;
        }
    }
    let name = name.trim_end_matches('_').to_owned();
    is_name(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{is_name, named_like};

    #[test]
    fn names_are_lower_case_words_joined_by_underscores() {
        for name in ["a", "telemetry", "s3_migration", "a1_2"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "_a", "a_", "a__b", "1a", "A", "a-b", "é", "a b"] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn a_name_in_another_style_is_put_into_ours() {
        for (written, meant) in [
            ("TeleMetry", "tele_metry"),
            ("s3-migration", "s3_migration"),
            ("_x_", "x"),
            ("A B", "a_b"),
        ] {
            assert_eq!(named_like(written).as_deref(), Some(meant));
        }
        assert_eq!(named_like("9"), None);
        assert_eq!(named_like("…"), None);
    }
}
