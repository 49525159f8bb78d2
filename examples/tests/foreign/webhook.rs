//! Event webhooks against Debian's `webhook`, which checks signatures by code of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use httputil_tests::PATIENCE;
use reqwest::StatusCode;
use serde_json::json;
use services::events::{EventWebhooks, Health, Notification, ObjectEvent};

use crate::program::{Program, written};
use crate::support::registry;

const EVENTS: u64 = 20;

/// A hook that writes down each event whose signature is right.
async fn listening(key: &str) -> Program {
    Program::start(|folder, port| {
        let delivered = folder.join("delivered");
        let script = format!("#!/bin/sh\nprintf '%s\\n' \"$1\" >>{}\n", delivered.display());
        let script = written(folder, "deliver", &script);
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let hooks = json!([{
            "id": "events",
            "execute-command": script,
            "include-command-output-in-response": true,
            "pass-arguments-to-command": [{ "source": "entire-payload" }],
            "http-methods": ["POST"],
            "trigger-rule-mismatch-http-response-code": 403,
            "trigger-rule": { "match": {
                "type": "payload-hmac-sha256",
                "secret": key,
                "parameter": { "source": "header", "name": "X-NebulaIO-Signature-256" },
            } },
        }]);
        let hooks = written(folder, "hooks.json", &hooks.to_string());
        let port = port.to_string();
        [
            "webhook",
            "-verbose",
            "-ip",
            "127.0.0.1",
            "-port",
            &port,
            "-hooks",
            &hooks,
        ]
        .map(str::to_owned)
        .to_vec()
    })
    .await
}

fn telling(hook: &Program, key: &str) -> EventWebhooks {
    let target = format!(
        "[{{ name = \"hook\", url = \"http://127.0.0.1:{}/hooks/events\", signing_key = \"{key}\" }}]",
        hook.port()
    );
    EventWebhooks::with_registry(&registry([("events.settings.targets", target)])).unwrap()
}

fn event(number: u64) -> ObjectEvent {
    ObjectEvent {
        name: "ObjectCreated:Put".to_owned(),
        region: "eu-central-1".to_owned(),
        bucket: "photos".to_owned(),
        key: format!("a trip/ünï+{number} \"&'$(false).jpg"),
        size: 1024,
        e_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
        sequencer: number,
        time: SystemTime::now(),
    }
}

#[tokio::test]
async fn events_that_are_signed_by_the_hook_s_key_run_its_command() {
    let hook = listening("a key that both know").await;
    let webhooks = telling(&hook, "a key that both know");
    // It has an answer to POST only.
    let health = webhooks.health().await;
    assert_eq!(health, [("hook", Health::Healthy(StatusCode::METHOD_NOT_ALLOWED))]);
    for number in 0..EVENTS {
        assert_eq!(webhooks.publish(&event(number)), Vec::<&str>::new());
    }
    let told = webhooks.drain(PATIENCE).await;
    assert_eq!((told[0].1.delivered, told[0].1.failed), (EVENTS, 0), "{}", hook.said());
    let delivered = std::fs::read_to_string(hook.file("delivered")).unwrap();
    let mut sequencers = Vec::new();
    for line in delivered.lines() {
        let notification: Notification = serde_json::from_str(line).unwrap();
        sequencers.push(u64::from_str_radix(&notification.records[0].s3.object.sequencer, 16).unwrap());
    }
    sequencers.sort_unstable();
    assert_eq!(sequencers, (0..EVENTS).collect::<Vec<_>>());
    println!("webhook: {EVENTS} signed events, each found good and whole by payload-hmac-sha256");
}

#[tokio::test]
async fn events_that_are_signed_by_another_key_are_refused_and_tried_once() {
    let hook = listening("a key that both know").await;
    let webhooks = telling(&hook, "another key");
    for number in 0..EVENTS {
        assert_eq!(webhooks.publish(&event(number)), Vec::<&str>::new());
    }
    let told = webhooks.drain(PATIENCE).await;
    assert_eq!((told[0].1.delivered, told[0].1.failed), (0, EVENTS), "{}", hook.said());
    assert!(!hook.file("delivered").exists(), "its command did not run");
    println!("webhook: {EVENTS} events signed by another key, each refused");
}
