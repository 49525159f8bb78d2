//! Attributes as they were written: syntax only, with spans, and forgiving.
//!
//! A mistake is noted and reading goes on, with the likeliest meaning in place of what was written, so that one
//! mistake stays one error. What the attributes mean together is for `check`.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Token, Visibility};

use crate::errors::Errors;
use crate::nearest::nearest;

const ON_STRUCTS: [&str; 7] = [
    "profile",
    "constructor",
    "drop",
    "on_stop",
    "isolated",
    "unchecked",
    "crate",
];
const ON_FIELDS: [&str; 5] = ["client", "profile", "setting", "default", "argument"];

/// What others call ours.
const SYNONYMS: [(&str, &str); 9] = [
    ("name", "profile"),
    ("pool", "profile"),
    ("new", "constructor"),
    ("ctor", "constructor"),
    ("key", "setting"),
    ("rename", "setting"),
    ("config", "setting"),
    ("arg", "argument"),
    ("skip", "default"),
];

/// What stands above the struct.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "marks that have nothing to do with each other"
)]
pub(crate) struct OnStruct {
    pub(crate) profile: Option<LitStr>,
    /// The visibility is `None` if only a name was written.
    pub(crate) constructor: Option<(Option<Visibility>, Ident)>,
    pub(crate) no_drop: bool,
    pub(crate) on_stop: Option<Path>,
    pub(crate) isolated: bool,
    pub(crate) unchecked: bool,
    pub(crate) krate: Option<Path>,
    /// Whether a mistake has already been told about `profile`.
    pub(crate) profile_is_broken: bool,
}

/// What stands above a field.
#[derive(Default)]
pub(crate) struct OnField {
    pub(crate) client: Option<Span>,
    pub(crate) argument: Option<Span>,
    pub(crate) profile: Option<LitStr>,
    /// Whether `profile` is there and could not be read.
    pub(crate) profile_is_broken: bool,
    /// The key is `None` if the field's name is the key.
    pub(crate) setting: Option<(Span, Option<LitStr>)>,
    /// The expression is `None` for `Default::default()`.
    pub(crate) default: Option<(Span, Option<Expr>)>,
}

/// `name`, or `name = value`.
struct Item {
    name: Ident,
    /// Where a colon stands for the `=`.
    colon: Option<Span>,
    value: Option<Expr>,
}

/// Reads the attributes above the struct.
pub(crate) fn on_struct(attributes: &[Attribute], errors: &mut Errors) -> OnStruct {
    let mut read = OnStruct::default();
    let (items, broken) = items(attributes, "struct", &ON_STRUCTS, &ON_FIELDS, errors);
    read.profile_is_broken = broken;
    for item in items {
        match item.name.unraw().to_string().as_str() {
            "profile" => {
                read.profile = text(&item, "profile = \"telemetry\"", errors);
                read.profile_is_broken |= read.profile.is_none();
            }
            "constructor" => {
                if let Some(literal) = text(&item, "constructor = \"connect\"", errors) {
                    read.constructor = constructor(&literal, errors);
                }
            }
            "drop" => match text(&item, "drop = \"none\"", errors) {
                Some(literal) if literal.value() == "none" => read.no_drop = true,
                Some(literal) => errors.on(literal, "`drop` knows one value: write `drop = \"none\"` for no `Drop`"),
                None => {}
            },
            "on_stop" => read.on_stop = path(&item, "on_stop = farewell", errors),
            "isolated" => {
                flag(&item, errors);
                read.isolated = true;
            }
            "unchecked" => {
                flag(&item, errors);
                read.unchecked = true;
            }
            "crate" => read.krate = path(&item, "crate = my_prelude::httputil", errors),
            _ => {}
        }
    }
    read
}

/// Reads the attributes above a field.
pub(crate) fn on_field(attributes: &[Attribute], errors: &mut Errors) -> OnField {
    let mut read = OnField::default();
    for item in items(attributes, "field", &ON_FIELDS, &ON_STRUCTS, errors).0 {
        let span = item.name.span();
        match item.name.unraw().to_string().as_str() {
            "client" => {
                flag(&item, errors);
                read.client = Some(span);
            }
            "argument" => {
                flag(&item, errors);
                read.argument = Some(span);
            }
            "profile" => {
                read.profile = text(&item, "profile = \"telemetry\"", errors);
                read.profile_is_broken = read.profile.is_none();
            }
            "setting" => {
                let key = item
                    .value
                    .is_some()
                    .then(|| text(&item, "setting = \"endpoint\"", errors))
                    .flatten();
                read.setting = Some((span, key));
            }
            "default" => read.default = Some((span, item.value)),
            _ => {}
        }
    }
    read
}

/// All items of all `#[pooled_client(…)]`, and whether one of them could not be read.
fn items(
    attributes: &[Attribute],
    place: &str,
    known: &[&'static str],
    elsewhere: &[&'static str],
    errors: &mut Errors,
) -> (Vec<Item>, bool) {
    let mut items: Vec<Item> = Vec::new();
    let mut broken = false;
    for attribute in attributes {
        if !is_ours(attribute, errors) {
            continue;
        }
        let list = match &attribute.meta {
            Meta::List(list) => list,
            Meta::Path(_) | Meta::NameValue(_) => {
                let example = if place == "struct" {
                    "profile = \"telemetry\""
                } else {
                    "setting"
                };
                errors.on(&attribute.meta, format!("write `#[pooled_client({example})]`"));
                broken = true;
                continue;
            }
        };
        let tokens = with_name(list.tokens.clone(), place, errors);
        let read = match Punctuated::<Item, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(read) => read,
            Err(error) => {
                errors.add(error);
                broken = true;
                continue;
            }
        };
        for mut item in read {
            let name = item.name.unraw().to_string();
            if let Some(colon) = item.colon {
                errors.at(colon, format!("write `{name} = …`, with `=`"));
            }
            if !known.contains(&name.as_str()) {
                if elsewhere.contains(&name.as_str()) {
                    let other = if place == "struct" { "a field" } else { "the struct" };
                    errors.at(
                        item.name.span(),
                        format!("`{name}` belongs on {other}, not on this {place}"),
                    );
                    continue;
                }
                let synonym = SYNONYMS
                    .iter()
                    .find(|(other, ours)| *other == name && known.contains(ours));
                let meant = synonym.map(|(_, ours)| *ours);
                let Some(meant) = meant.or_else(|| nearest(&name, known.iter().copied())) else {
                    let known = known.join("`, `");
                    // Maybe the profile's.
                    broken |= matches!(&item.value, Some(Expr::Lit(ExprLit { lit: Lit::Str(_), .. })));
                    errors.at(
                        item.name.span(),
                        format!("unknown attribute `{name}`; a {place} knows `{known}`"),
                    );
                    continue;
                };
                errors.at(
                    item.name.span(),
                    format!("unknown attribute `{name}`; did you mean `{meant}`?"),
                );
                // Read on as if it had been written right.
                item.name = Ident::new(meant, item.name.span());
            }
            if items.iter().any(|earlier| earlier.name == item.name) {
                errors.at(item.name.span(), format!("`{name}` is written twice; keep one"));
                continue;
            }
            items.push(item);
        }
    }
    (items, broken)
}

/// The tokens, with the name of what was meant before a text that stands first and alone, which is told.
fn with_name(tokens: TokenStream, place: &str, errors: &mut Errors) -> TokenStream {
    let first = tokens.clone().into_iter().next().map(TokenStream::from);
    let Some(literal) = first.and_then(|first| syn::parse2::<LitStr>(first).ok()) else {
        return tokens;
    };
    let name = Ident::new(if place == "struct" { "profile" } else { "setting" }, literal.span());
    errors.on(&literal, format!("write `{name} = {}`", literal.token()));
    quote!(#name = #tokens)
}

/// Whether this is our helper; one that is written with a path is told so, and read.
fn is_ours(attribute: &Attribute, errors: &mut Errors) -> bool {
    let path = attribute.path();
    let ours = path.segments.last().is_some_and(|last| last.ident == "pooled_client");
    if ours && (path.segments.len() > 1 || path.leading_colon.is_some()) {
        errors.on(path, "the derive's attribute has no path: write `#[pooled_client(…)]`");
    }
    ours
}

impl syn::parse::Parse for Item {
    fn parse(input: ParseStream<'_>) -> syn::Result<Item> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected the name of an attribute, such as `profile`"));
        }
        let name = input.call(Ident::parse_any)?;
        if input.peek(syn::token::Paren) {
            return Err(input.error(format!("write `{name} = …`, without parentheses")));
        }
        let colon = if input.peek(Token![:]) && !input.peek(Token![::]) {
            Some(input.parse::<Token![:]>()?.span)
        } else {
            None
        };
        let value = if colon.is_some() || input.parse::<Option<Token![=]>>()?.is_some() {
            if input.is_empty() {
                return Err(syn::Error::new(name.span(), format!("`{name} =` lacks its value")));
            }
            Some(plain(input.parse()?))
        } else {
            None
        };
        if !input.is_empty() && !input.peek(Token![,]) {
            return Err(input.error("expected `,` between attributes"));
        }
        Ok(Item { name, colon, value })
    }
}

/// The expression within the invisible groups that `macro_rules!` puts around `$profile:literal` and the like.
fn plain(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) => plain(*group.expr),
        expr => expr,
    }
}

/// The item's value, which must be a literal string.
fn text(item: &Item, example: &str, errors: &mut Errors) -> Option<LitStr> {
    let name = &item.name;
    match &item.value {
        Some(Expr::Lit(ExprLit {
            lit: Lit::Str(literal), ..
        })) => return Some(literal.clone()),
        Some(other) => errors.on(other, format!("`{name}` takes a string in quotes, such as `{example}`")),
        None => errors.at(name.span(), format!("`{name}` needs a value, such as `{example}`")),
    }
    None
}

/// Complains about a value where none belongs.
fn flag(item: &Item, errors: &mut Errors) {
    if let Some(value) = &item.value {
        errors.on(
            value,
            format!("`{name}` takes no value: write just `{name}`", name = item.name),
        );
    }
}

fn path(item: &Item, example: &str, errors: &mut Errors) -> Option<Path> {
    let name = &item.name;
    match &item.value {
        Some(Expr::Path(value)) if value.qself.is_none() => return Some(value.path.clone()),
        Some(Expr::Lit(ExprLit {
            lit: Lit::Str(literal), ..
        })) => {
            let meant = literal.value();
            errors.on(
                literal,
                format!("`{name}` takes a path, not a string: write `{name} = {meant}`"),
            );
            return literal.parse().ok();
        }
        Some(other) => errors.on(other, format!("`{name}` takes a path, such as `{example}`")),
        None => errors.at(name.span(), format!("`{name}` needs a path, such as `{example}`")),
    }
    None
}

fn constructor(literal: &LitStr, errors: &mut Errors) -> Option<(Option<Visibility>, Ident)> {
    let parser = |input: ParseStream<'_>| {
        let vis = match input.parse::<Visibility>()? {
            Visibility::Inherited => None,
            written => Some(written),
        };
        Ok((vis, input.parse::<Ident>()?))
    };
    let read = literal.parse_with(parser).ok();
    if read.is_none() {
        errors.at(
            literal.span(),
            "expected a function's name, with its visibility if it is not the struct's: \"connect\" or \"pub(crate) connect\"",
        );
    }
    read
}
