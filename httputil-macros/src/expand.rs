//! Prints a service: the constructors, the trait, `Drop`, and the files to watch.
//!
//! Everything is named by its full path and every local is hygienic, so that nothing in the user's scope can change
//! what the code means. What can be a runtime function is one (`httputil::__private`): what is printed stays short.

use std::path::PathBuf;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{GenericParam, Generics, Path, parse_quote};

use crate::model::{Fallback, Field, Role, Service};

/// The code of a valid service.
pub(crate) fn service(service: &Service, watched: Option<&[PathBuf]>) -> TokenStream {
    let krate = &service.krate;
    let arguments = as_one(service.arguments().map(|field| field.ident.to_token_stream()));
    let bodies = Bodies {
        global: quote_spanned! {site()=>
            <Self as #krate::PooledClient>::from_registry(&#krate::Registry::global()?, #arguments)
        },
        explicit: quote_spanned! {site()=> <Self as #krate::PooledClient>::from_registry(registry_, #arguments) },
        parameter: |field| field.ident.to_token_stream(),
        constructor_registry: quote_spanned!(site()=> registry_),
        registry: quote_spanned!(site()=> __httputil_registry),
        arguments: as_one(service.arguments().map(|field| local(field).into_token_stream())),
        from_registry: from_registry(service),
        client: borrowed(service.clients()[0], krate),
        clients: {
            let clients = service.clients().into_iter().map(|field| borrowed(field, krate));
            quote_spanned!(site()=> ::core::iter::IntoIterator::into_iter([#(#clients),*]))
        },
    };
    let items = items(service, &bodies);
    let drop = service.drop.then(|| drop_impl(service));
    let watch = watch(watched);
    quote!(#items #drop #watch)
}

/// The outline of a service that has mistakes: all that code elsewhere may name, so that nobody else complains.
pub(crate) fn outline(service: &Service) -> TokenStream {
    let unreachable = quote_spanned!(site()=> ::core::unreachable!());
    let ignored = quote_spanned!(site()=> _);
    let bodies = Bodies {
        global: unreachable.clone(),
        explicit: unreachable.clone(),
        parameter: |_| quote_spanned!(site()=> _),
        constructor_registry: ignored.clone(),
        registry: ignored.clone(),
        arguments: ignored,
        from_registry: unreachable.clone(),
        client: unreachable,
        clients: quote_spanned!(site()=> ::core::iter::empty()),
    };
    items(service, &bodies)
}

/// What differs between a service and its outline.
struct Bodies {
    global: TokenStream,
    explicit: TokenStream,
    parameter: fn(&Field) -> TokenStream,
    /// As users see it in the documentation of their service.
    constructor_registry: TokenStream,
    registry: TokenStream,
    arguments: TokenStream,
    from_registry: TokenStream,
    client: TokenStream,
    clients: TokenStream,
}

fn items(service: &Service, bodies: &Bodies) -> TokenStream {
    let Service {
        ident,
        krate,
        constructor,
        ..
    } = service;
    let (vis, global, explicit) = (&constructor.vis, &constructor.global, &constructor.explicit);
    let profile = &service.profile.name;
    let keys = service.settings();
    let generics = with_bounds(service);
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();

    let types: Vec<_> = service.arguments().map(|field| &field.ty).collect();
    let parameters: Vec<_> = service.arguments().map(bodies.parameter).collect();
    let args = as_one(types.iter().map(ToTokens::to_token_stream));
    let Bodies {
        constructor_registry,
        registry,
        arguments,
        ..
    } = bodies;
    let (global_body, explicit_body) = (&bodies.global, &bodies.explicit);
    let (from_registry, client, clients) = (&bodies.from_registry, &bodies.client, &bodies.clients);

    let built = format!(" Builds it from the process-wide registry, on the profile `{profile}`.");
    let built_with = format!(" Builds it from this registry, on the profile `{profile}`.");
    let errors =
        " If the configuration has mistakes, a setting is missing or of another type, or the profile is unknown.";
    quote_spanned! {site()=>
        #[allow(dead_code, clippy::too_many_arguments)]
        impl #impl_generics #ident #type_generics #where_clause {
            #[doc = #built]
            ///
            /// # Errors
            ///
            #[doc = #errors]
            #vis fn #global(#(#parameters: #types),*) -> ::core::result::Result<Self, #krate::Error> {
                #global_body
            }

            #[doc = #built_with]
            ///
            /// # Errors
            ///
            #[doc = #errors]
            #vis fn #explicit(
                #constructor_registry: &#krate::Registry,
                #(#parameters: #types),*
            ) -> ::core::result::Result<Self, #krate::Error> {
                #explicit_body
            }
        }

        #[automatically_derived]
        impl #impl_generics #krate::PooledClient for #ident #type_generics #where_clause {
            const PROFILE: &'static str = #profile;
            const SETTINGS: &'static [&'static str] = &[#(#keys),*];
            type Args = #args;

            fn from_registry(
                #registry: &#krate::Registry,
                #arguments: Self::Args,
            ) -> ::core::result::Result<Self, #krate::Error> {
                #from_registry
            }

            fn client(&self) -> &#krate::Client {
                #client
            }

            fn clients(&self) -> impl ::core::iter::ExactSizeIterator<Item = &#krate::Client> {
                #clients
            }
        }
    }
}

fn from_registry(service: &Service) -> TokenStream {
    let krate = &service.krate;
    let parts = quote_spanned!(site()=> __httputil_parts);
    let reads = service.fields.iter().filter_map(|field| {
        let (ty, local) = (&field.ty, local(field));
        // Where the field's type does not fit, the compiler points at the field's type.
        let here = site().located_at(ty.span());
        // Functions by their paths: a trait in the user's scope may have methods of the same names.
        let read = match &field.role {
            Role::Client(profile) => {
                let name = &profile.name;
                quote_spanned!(here=> <#ty as #krate::__private::IsClient>::lease(&mut #parts, #name))
            }
            Role::Setting { key, fallback } => {
                let of_parts = quote_spanned!(here=> #krate::__private::Parts);
                match fallback {
                    Fallback::Required => quote_spanned!(here=> #of_parts::required::<#ty>(&mut #parts, #key)),
                    Fallback::None(inner) => quote_spanned!(here=> #of_parts::optional::<#inner>(&mut #parts, #key)),
                    Fallback::Default => quote_spanned!(here=> #of_parts::or_default::<#ty>(&mut #parts, #key)),
                    Fallback::Expr(expr) => {
                        quote_spanned!(here=> #of_parts::or_else::<#ty>(&mut #parts, #key, || #expr))
                    }
                }
            }
            Role::Default(_) | Role::Argument => return None,
        };
        Some(quote_spanned!(here=> let #local = #read;))
    });
    let values = service.fields.iter().map(|field| {
        let (ident, local) = (&field.ident, local(field));
        let here = site().located_at(field.ty.span());
        let value = match &field.role {
            Role::Client(_) | Role::Setting { .. } => {
                quote_spanned!(here=> #krate::__private::Complete::take(&#parts, #local))
            }
            Role::Default(Some(expr)) => expr.to_token_stream(),
            Role::Default(None) => quote_spanned!(here=> ::core::default::Default::default()),
            Role::Argument => local.to_token_stream(),
        };
        quote!(#ident: #value)
    });
    let isolate = service
        .isolated
        .then(|| quote_spanned!(site()=> #krate::__private::Parts::isolate(&mut #parts);));
    let on_stop = service.on_stop.as_ref().map(|path| {
        // A function of another kind is told of at its name.
        let here = site().located_at(path.span());
        quote_spanned!(here=> #krate::__private::Parts::on_stop(&mut #parts, #path);)
    });
    quote_spanned! {site()=>
        let mut #parts = #krate::__private::Parts::of::<Self>(__httputil_registry);
        #isolate
        #on_stop
        #(#reads)*
        let #parts = #krate::__private::Parts::complete(#parts)?;
        ::core::result::Result::Ok(Self { #(#values),* })
    }
}

fn drop_impl(service: &Service) -> TokenStream {
    let Service { ident, krate, .. } = service;
    let (impl_generics, type_generics, where_clause) = service.generics.split_for_impl();
    let clients = service.clients().into_iter().map(|field| borrowed(field, krate));
    quote_spanned! {site()=>
        #[automatically_derived]
        impl #impl_generics ::core::ops::Drop for #ident #type_generics #where_clause {
            fn drop(&mut self) {
                #krate::__private::release([#(#clients),*]);
            }
        }
    }
}

/// Makes the compiler build this crate again when one of the files, or the variable that names one, changes.
pub(crate) fn watch(files: Option<&[PathBuf]>) -> Option<TokenStream> {
    let paths: Vec<&str> = files?.iter().filter_map(|file| file.to_str()).collect();
    Some(quote_spanned! {site()=>
        const _: () = {
            #(const _: &[u8] = ::core::include_bytes!(#paths);)*
            const _: ::core::option::Option<&str> = ::core::option_env!("HTTPUTIL_CONFIG");
        };
    })
}

/// The struct's generics, with what the values need of types that are not known yet.
fn with_bounds(service: &Service) -> Generics {
    let krate = &service.krate;
    let mut generics = service.generics.clone();
    for field in &service.fields {
        let ty = &field.ty;
        if !names_a_parameter(ty, &service.generics) {
            continue;
        }
        match &field.role {
            Role::Setting { fallback, .. } => {
                let read = if let Fallback::None(inner) = fallback {
                    inner
                } else {
                    ty
                };
                let bounds = &mut generics.make_where_clause().predicates;
                bounds.push(parse_quote!(#read: #krate::__private::DeserializeOwned));
                if let Fallback::Default = fallback {
                    bounds.push(parse_quote!(#ty: ::core::default::Default));
                }
            }
            Role::Default(None) => {
                generics
                    .make_where_clause()
                    .predicates
                    .push(parse_quote!(#ty: ::core::default::Default));
            }
            _ => {}
        }
    }
    generics
}

/// Whether a type or constant parameter of the struct occurs in the type.
fn names_a_parameter(ty: &syn::Type, generics: &Generics) -> bool {
    fn occurs(tokens: TokenStream, name: &Ident) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == *name,
            TokenTree::Group(group) => occurs(group.stream(), name),
            _ => false,
        })
    }
    generics.params.iter().any(|parameter| match parameter {
        GenericParam::Type(parameter) => occurs(ty.to_token_stream(), &parameter.ident),
        GenericParam::Const(parameter) => occurs(ty.to_token_stream(), &parameter.ident),
        GenericParam::Lifetime(_) => false,
    })
}

/// No value, the value, or a tuple of the values.
fn as_one(values: impl Iterator<Item = TokenStream>) -> TokenStream {
    let values: Vec<_> = values.collect();
    match values.as_slice() {
        [one] => one.clone(),
        many => quote!((#(#many),*)),
    }
}

/// The local variable that holds a field's value until the struct is made. A constant or static of the user's with the
/// same name would be taken for a pattern, so it has a name that nobody gives one.
fn local(field: &Field) -> Ident {
    format_ident!("__field_{}", field.ident, span = site())
}

/// `self.field` as a client; where it is none, the compiler says so at the field's type.
fn borrowed(field: &Field, krate: &Path) -> TokenStream {
    let (ident, ty) = (&field.ident, &field.ty);
    quote_spanned!(site().located_at(ty.span())=> <#ty as #krate::__private::IsClient>::client(&self.#ident))
}

/// Locals resolve where the macro is defined, everything else where it is used.
fn site() -> Span {
    Span::mixed_site()
}
