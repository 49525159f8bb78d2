//! The attributes of the struct and of its fields that change what is written.

use httputil::{Client, PooledClient};

use crate::support::registry;

mod named {
    use httputil::{Client, PooledClient};

    #[derive(PooledClient)]
    #[pooled_client(profile = "default", constructor = "pub(crate) connect")]
    pub(super) struct Named {
        client: Client,
        pub(super) name: String,
    }
}

#[test]
fn the_constructors_can_have_another_name_and_visibility() {
    let named = named::Named::connect_with(&registry(""), "a".to_owned()).unwrap();
    assert_eq!(named.name, "a");
    let _: fn(String) -> Result<named::Named, httputil::Error> = named::Named::connect;
}

#[test]
fn without_drop_fields_can_be_moved_out() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "default", drop = "none")]
    struct Open {
        client: Client,
        name: String,
    }
    let Open { client, name } = Open::with_registry(&registry(""), "a".to_owned()).unwrap();
    assert_eq!((client.profile(), name.as_str()), ("default", "a"));
}

#[test]
fn a_service_with_a_drop_of_its_own_says_that_none_be_written() {
    #[derive(PooledClient)]
    #[pooled_client(profile = "default", drop = "none")]
    struct Own {
        client: Client,
        ended: std::sync::Arc<std::sync::atomic::AtomicBool>,
    }
    impl Drop for Own {
        fn drop(&mut self) {
            self.ended.store(true, std::sync::atomic::Ordering::SeqCst);
            self.client.stop();
        }
    }
    let ended = std::sync::Arc::default();
    drop(Own::with_registry(&registry(""), std::sync::Arc::clone(&ended)).unwrap());
    assert!(ended.load(std::sync::atomic::Ordering::SeqCst));
}

#[test]
fn a_client_under_another_name_is_marked_and_another_client_is_an_argument() {
    type Pooled = httputil::Client;
    mod aws {
        #[derive(Debug, PartialEq)]
        pub(super) struct Client(pub(super) u8);
    }
    #[derive(PooledClient)]
    #[pooled_client(profile = "default")]
    struct Mixed {
        #[pooled_client(client)]
        pooled: Pooled,
        #[pooled_client(argument)]
        aws: aws::Client,
    }
    let mixed = Mixed::with_registry(&registry(""), aws::Client(1)).unwrap();
    assert_eq!((mixed.pooled.profile(), &mixed.aws), ("default", &aws::Client(1)));
}

#[test]
fn the_crate_can_be_found_elsewhere() {
    mod prelude {
        pub(super) use httputil as http;
    }
    #[derive(prelude::http::PooledClient)]
    #[pooled_client(profile = "default", crate = prelude::http)]
    struct Renamed {
        client: prelude::http::Client,
    }
    let renamed = Renamed::with_registry(&registry("")).unwrap();
    assert_eq!(renamed.client.profile(), "default");
}
