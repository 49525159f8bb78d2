//! The S3 services against moto's S3, filled and read back by boto3.

use std::collections::BTreeMap;
use std::process::Stdio;

use http_body_util::BodyExt as _;
use httputil_tests::{PATIENCE, within};
use reqwest::StatusCode;
use serde::Deserialize;
use services::object_lambda::{ObjectLambda, UserRequest};
use services::peers::Transformer;
use services::replication::{Change, Replication};
use services::s3_migration::BucketMigration;
use tokio::process::Command;

use crate::program::{Program, find};
use crate::support::registry;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/foreign.py");
/// More than a page of a listing has.
const MANY: u64 = 1050;
/// Those with difficult keys, and the one in parts.
const OTHERS: u64 = 8;

/// An object, as boto3 finds it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Found {
    size: u64,
    sha256: String,
    r#type: String,
    metadata: BTreeMap<String, String>,
    class: String,
}

struct Moto(Program);

impl Moto {
    async fn start() -> Moto {
        let serve = |_: &std::path::Path, port: u16| {
            let port = port.to_string();
            ["moto-python", SCRIPT, "serve", &port].map(str::to_owned).to_vec()
        };
        Moto(Program::start(serve).await)
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port())
    }

    async fn ask(&self, words: &[&str]) -> String {
        let (verb, rest) = words.split_first().unwrap();
        let asked = Command::new(find("moto-python"))
            .args([SCRIPT, verb, &self.url()])
            .args(rest)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let said = within(6 * PATIENCE, asked).await.unwrap();
        let complaint = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{words:?}: {complaint}{}", self.0.said());
        String::from_utf8(said.stdout).unwrap()
    }

    async fn read(&self, bucket: &str) -> BTreeMap<String, Found> {
        serde_json::from_str(&self.ask(&["read", bucket]).await).unwrap()
    }

    /// The settings of a bucket, as an inline table has them.
    fn location(&self, bucket: &str, region: &str) -> String {
        format!(
            "{{ endpoint = \"{}\", region = \"{region}\", bucket = \"{bucket}\", access_key = \"AKIDEXAMPLE\", \
             secret_key = \"a secret\" }}",
            self.url()
        )
    }
}

#[tokio::test]
async fn a_bucket_of_moto_s_is_migrated_to_another_store_as_it_is() {
    let (from, to) = (Moto::start().await, Moto::start().await);
    from.ask(&["fill", "old", &MANY.to_string()]).await;
    to.ask(&["make", "new"]).await;
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("manifest.jsonl");
    let registry = registry([
        ("s3_migration.settings.from", from.location("old", "us-east-1")),
        ("s3_migration.settings.to", to.location("new", "us-east-1")),
        ("s3_migration.settings.manifest", manifest.display().to_string()),
        ("s3_migration.settings.part_bytes", (5 << 20).to_string()),
    ]);
    let migration = BucketMigration::with_registry(&registry).unwrap();
    let report = within(6 * PATIENCE, migration.run("")).await.unwrap();
    assert_eq!(report.failed.len(), 0, "{:?}", report.failed);
    assert_eq!(report.copied, MANY + OTHERS);
    let there = to.read("new").await;
    assert_eq!(there.len() as u64, MANY + OTHERS);
    assert_eq!(there, from.read("old").await);
    let again = within(PATIENCE, migration.run("")).await.unwrap();
    assert_eq!((again.copied, again.skipped), (0, MANY + OTHERS));
    println!(
        "moto: {} objects migrated over pages and in parts, difficult keys and headers the same to boto3",
        there.len()
    );
}

#[tokio::test]
async fn what_changes_in_moto_s_bucket_is_in_its_other_regions() {
    let (here, near, far) = (Moto::start().await, Moto::start().await, Moto::start().await);
    here.ask(&["fill", "photos", "20"]).await;
    near.ask(&["make", "photos"]).await;
    far.ask(&["make", "photos"]).await;
    let region = |name: &str, at: &Moto, more: &str| {
        format!("{{ name = \"{name}\", at = {}{more} }}", at.location("photos", name))
    };
    let regions = [
        region("eu-west-1", &near, ""),
        region("us-west-2", &far, ", storage_class = \"STANDARD_IA\""),
    ];
    let registry = registry([
        ("replication.settings.from", here.location("photos", "us-east-1")),
        ("replication.settings.regions", format!("[{}]", regions.join(", "))),
        ("replication.settings.part_bytes", (5 << 20).to_string()),
    ]);
    let replication = Replication::with_registry(&registry).unwrap();
    let all = here.read("photos").await;
    for key in all.keys() {
        assert_eq!(replication.publish(&Change::Put(key.clone())), Vec::<&str>::new());
    }
    replication.publish(&Change::Removed("many/00007".to_owned()));
    let told = within(6 * PATIENCE, replication.drain(5 * PATIENCE)).await;
    for (name, stats) in &told {
        assert_eq!((stats.failed, stats.waiting), (0, 0), "{name}: {stats:?}");
    }
    let mut wanted = all;
    wanted.remove("many/00007");
    assert_eq!(near.read("photos").await, wanted);
    for object in wanted.values_mut() {
        "STANDARD_IA".clone_into(&mut object.class);
    }
    assert_eq!(far.read("photos").await, wanted);
    println!(
        "moto: {} objects replicated to two regions, one removed, each of its region's storage class to boto3",
        wanted.len()
    );
}

#[tokio::test]
async fn moto_s_objects_are_transformed_by_signed_urls_and_by_posts() {
    let (store, transformer) = (Moto::start().await, Transformer::start(None).await);
    store.ask(&["fill", "photos", "0"]).await;
    let objects = store.read("photos").await;
    for input in ["url", "body"] {
        let registry = registry([
            ("object_lambda.settings.from", store.location("photos", "us-east-1")),
            ("object_lambda.settings.webhook", transformer.url().to_string()),
            ("object_lambda.settings.input", input.to_owned()),
        ]);
        let lambda = ObjectLambda::with_registry(&registry).unwrap();
        for (key, object) in &objects {
            let answer = lambda.get(key, &UserRequest::default()).await.unwrap();
            assert_eq!(
                (answer.status, answer.failure),
                (StatusCode::OK, None),
                "{input} {key:?}"
            );
            let body = within(PATIENCE, answer.body.collect()).await.unwrap().to_bytes();
            assert_eq!(body.len() as u64, object.size, "{input} {key:?}");
            if key != "in parts" {
                let written = key.to_ascii_uppercase();
                assert_eq!(body, written.repeat(body.len() / written.len()), "{input} {key:?}");
            }
        }
        assert_eq!(objects.len() as u64, OTHERS);
    }
    println!("moto: {OTHERS} objects transformed, read by signed URLs and posted");
}
