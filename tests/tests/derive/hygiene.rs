//! The code means the same wherever it is written: under any names, generics and imports.

use std::fmt::Debug;
use std::marker::PhantomData;

use httputil::{Client, PooledClient};

use crate::support::registry;

#[test]
fn generics_lifetimes_constants_and_where_clauses_carry_through() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "default")]
    struct Generic<'a, T: Clone = u8, const N: usize = 2>
    where
        T: Debug + Default,
    {
        client: Client,
        #[pooled_client(setting, default = [T::default(), T::default()])]
        pair: [T; 2],
        #[pooled_client(setting)]
        maybe: Option<T>,
        #[pooled_client(default)]
        all: Vec<T>,
        #[pooled_client(default)]
        marker: PhantomData<fn() -> T>,
        names: [&'a str; N],
    }
    let name = "a".to_owned();
    let generic = Generic::<u32, 1>::with_registry(&registry(""), [&name]).unwrap();
    assert_eq!(
        (generic.pair, generic.maybe, generic.all.len(), generic.names),
        ([0, 0], None, 0, ["a"])
    );
    assert_eq!((generic.client.profile(), generic.marker), ("default", PhantomData));
}

#[test]
fn raw_identifiers_and_the_names_of_the_codes_own_locals_are_fine_for_fields() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "default")]
    struct Odd {
        r#type: Client,
        registry: u8,
        parts: u16,
        args: u32,
        #[pooled_client(setting, default = 4)]
        r#match: u8,
        #[pooled_client(default = 5)]
        client: u8,
        client_: u64,
    }
    let odd = Odd::with_registry(&registry(""), 1, 2, 3, 6).unwrap();
    assert_eq!(
        (odd.registry, odd.parts, odd.args, odd.r#match, odd.client, odd.client_),
        (1, 2, 3, 4, 5, 6)
    );
    assert_eq!((odd.r#type.profile(), Odd::SETTINGS), ("default", ["match"].as_slice()));
}

#[test]
fn a_default_sees_the_users_names_and_none_of_the_codes() {
    fn parts() -> u8 {
        7
    }
    #[derive(PooledClient)]
    #[pooled_client(profile = "default")]
    struct Named {
        client: Client,
        #[pooled_client(default = parts())]
        made: u8,
        #[pooled_client(setting, default = registry("").config().profiles().len())]
        count: usize,
    }
    let named = Named::with_registry(&registry("")).unwrap();
    assert_eq!(named.made, 7);
    let _ = (named.count, &named.client);
}

#[test]
fn fields_can_depend_on_cfg() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "default")]
    struct Conditional {
        client: Client,
        #[cfg(not(test))]
        absent: u8,
        #[cfg(test)]
        present: u8,
        #[cfg_attr(test, pooled_client(default = 9))]
        made: u8,
    }
    let service = Conditional::with_registry(&registry(""), 1).unwrap();
    assert_eq!(
        (service.present, service.made, service.client.profile()),
        (1, 9, "default")
    );
}

#[test]
fn a_macro_may_write_the_service() {
    macro_rules! service {
        ($name:ident, $client:ty, $value:expr) => {
            #[derive(PooledClient)]
            #[pooled_client(profile = "default")]
            struct $name {
                client: $client,
                #[pooled_client(default = $value)]
                value: u8,
            }
        };
    }
    service!(Written, Client, 1 + 1);
    let written = Written::with_registry(&registry("")).unwrap();
    assert_eq!((written.value, written.client.profile()), (2, "default"));
}

#[test]
fn a_macro_may_pass_profiles_keys_and_paths_through() {
    macro_rules! service {
        ($name:ident, $profile:literal, $other:literal, $key:literal, $crate_:path, $constructor:literal, $drop:literal) => {
            #[derive(PooledClient)]
            #[pooled_client(profile = $profile, crate = $crate_, constructor = $constructor, drop = $drop)]
            struct $name {
                client: Client,
                #[pooled_client(profile = $other)]
                other: Client,
                #[pooled_client(setting = $key)]
                value: Option<u8>,
            }
        };
    }
    service!(Passed, "default", "telemetry", "key", ::httputil, "connect", "none");
    let passed = Passed::connect_with(&registry("[telemetry]\n[default.settings]\nkey = 3")).unwrap();
    let profiles = (passed.client.profile(), passed.other.profile());
    assert_eq!((profiles, passed.value), (("default", "telemetry"), Some(3)));
}

#[test]
fn statics_and_constants_with_the_names_of_the_codes_own_locals_are_not_taken_for_them() {
    #[allow(dead_code, non_upper_case_globals)]
    mod lower_case {
        static registry: u8 = 1;
        const parts: u8 = 2;
        static client_: u8 = 3;
        const client: u8 = 4;
        #[derive(httputil::PooledClient)]
        #[pooled_client(profile = "default")]
        pub(super) struct Quiet {
            client: httputil::Client,
            #[pooled_client(setting, default = parts)]
            pub(super) size: u8,
            pub(super) name: u8,
        }
    }
    let quiet = lower_case::Quiet::with_registry(&registry(""), 5).unwrap();
    assert_eq!((quiet.size, quiet.name), (2, 5));
}

#[test]
fn traits_in_scope_with_methods_of_the_same_names_change_nothing() {
    #[allow(dead_code)]
    mod extended {
        pub(super) trait Everything: Sized {
            fn client(&mut self, _: &str) {}
            fn lease(&mut self, _: &str) {}
            fn required(&mut self, _: &str) {}
            fn optional(&mut self, _: &str) {}
            fn or_else(&mut self, _: &str) {}
            fn complete(self) {}
            fn take(&self, _: u8) {}
            fn into_iter(self) {}
        }
        impl<T> Everything for T {}
        #[derive(httputil::PooledClient)]
        #[pooled_client(profile = "default")]
        pub(super) struct Extended {
            client: httputil::Client,
            #[pooled_client(setting, default = 1)]
            pub(super) one: u8,
            #[pooled_client(setting)]
            pub(super) two: Option<u8>,
        }
    }
    let extended = extended::Extended::with_registry(&registry("[default.settings]\ntwo = 2")).unwrap();
    assert_eq!((extended.one, extended.two), (1, Some(2)));
}

#[test]
fn nothing_need_be_imported() {
    mod bare {
        #[derive(httputil::PooledClient)]
        #[pooled_client(profile = "default")]
        pub(super) struct Bare {
            pub(super) client: ::httputil::Client,
        }
    }
    let bare = bare::Bare::with_registry(&registry("")).unwrap();
    assert_eq!(bare.client.profile(), "default");
}

#[test]
fn a_scope_with_other_meanings_for_common_names_changes_nothing() {
    #[allow(dead_code)]
    mod hostile {
        pub(super) struct Result;
        pub(super) struct Vec;
        pub(super) trait Default {}
        pub(super) trait Drop {}
        pub(super) trait Iterator {}
        pub(super) enum Option {
            Some,
            None,
        }
        pub(super) struct Ok;
        #[derive(httputil::PooledClient)]
        #[pooled_client(profile = "default")]
        pub(super) struct Hostile {
            pub(super) client: httputil::Client,
            #[pooled_client(default)]
            pub(super) count: u8,
        }
    }
    assert_eq!(
        hostile::Hostile::with_registry(&registry(""))
            .map(|hostile| hostile.count)
            .ok(),
        Some(0)
    );
}
