//! Types as far as a derive can read them: by their spelling.

use syn::ext::IdentExt;
use syn::{GenericArgument, Path, PathArguments, Type, TypeReference};

/// What a field's type says of clients.
pub(crate) enum ClientType {
    /// It is ours.
    Ours,
    /// Some other path's `Client`, as it was written.
    Unclear(String),
    /// Ours within another type: `Option<Client>`, `&Client`.
    Wrapped,
    /// Nothing.
    Not,
}

/// Whether this is a client.
pub(crate) fn client_type(ty: &Type, krate: &Path) -> ClientType {
    let otherwise = || {
        let wrapped = inner(ty)
            .into_iter()
            .any(|inner| matches!(client_type(inner, krate), ClientType::Ours | ClientType::Wrapped));
        if wrapped { ClientType::Wrapped } else { ClientType::Not }
    };
    let Some(path) = plain_path(ty) else {
        return otherwise();
    };
    let words: Vec<String> = path
        .segments
        .iter()
        .map(|segment| segment.ident.unraw().to_string())
        .collect();
    let ends_as_client = path
        .segments
        .last()
        .is_some_and(|last| last.ident == "Client" && last.arguments.is_none());
    if !ends_as_client {
        return otherwise();
    }
    let module = &words[..words.len() - 1];
    let is_crate = krate
        .segments
        .iter()
        .map(|segment| segment.ident.unraw().to_string())
        .eq(module.iter().cloned());
    if is_crate || matches!(module, [] | [_] if module.first().is_none_or(|name| name == "httputil")) {
        return ClientType::Ours;
    }
    ClientType::Unclear(words.join("::"))
}

/// What an `Option` holds, however its path is written.
pub(crate) fn option_of(ty: &Type) -> Option<&Type> {
    let path = plain_path(ty)?;
    let last = path.segments.last()?;
    let is_option = match path.segments.len() {
        1 => path.leading_colon.is_none(),
        3 => {
            (path.segments[0].ident == "std" || path.segments[0].ident == "core") && path.segments[1].ident == "option"
        }
        _ => false,
    };
    match &last.arguments {
        PathArguments::AngleBracketed(held) if is_option && last.ident == "Option" && held.args.len() == 1 => {
            match &held.args[0] {
                GenericArgument::Type(inner) => Some(inner),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The path of a type that is one, through the invisible groups that macros put around it.
fn plain_path(ty: &Type) -> Option<&Path> {
    match ty {
        Type::Path(path) if path.qself.is_none() => Some(&path.path),
        Type::Group(group) => plain_path(&group.elem),
        Type::Paren(paren) => plain_path(&paren.elem),
        _ => None,
    }
}

/// The first reference in a type, at whatever depth.
pub(crate) fn reference_in(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Reference(reference) => Some(reference),
        _ => inner(ty).into_iter().find_map(reference_in),
    }
}

/// The type that owns what is borrowed here, if it has another name.
pub(crate) fn owned(reference: &TypeReference) -> Option<&'static str> {
    if let Type::Slice(_) = *reference.elem {
        return Some("Vec<…>");
    }
    match plain_path(&reference.elem)?.segments.last()?.ident.to_string().as_str() {
        "str" => Some("String"),
        "Path" => Some("PathBuf"),
        _ => None,
    }
}

/// The type to write in place of one that has no size.
pub(crate) fn sized(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::TraitObject(_) => Some("Box<dyn …>"),
        Type::Slice(_) => Some("Vec<…>"),
        _ if plain_path(ty)?.is_ident("str") => Some("String"),
        _ => None,
    }
}

/// The types that a type is directly made of, as it is written.
fn inner(ty: &Type) -> Vec<&Type> {
    match ty {
        Type::Array(array) => vec![&array.elem],
        Type::Group(group) => vec![&group.elem],
        Type::Paren(paren) => vec![&paren.elem],
        Type::Reference(reference) => vec![&reference.elem],
        Type::Slice(slice) => vec![&slice.elem],
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        Type::Path(path) => match path.path.segments.last().map(|last| &last.arguments) {
            Some(PathArguments::AngleBracketed(held)) => held
                .args
                .iter()
                .filter_map(|argument| match argument {
                    GenericArgument::Type(inner) => Some(inner),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
