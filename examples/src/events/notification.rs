//! S3's notification JSON, as the S3 user guide's "Event message structure" has it.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;

/// What happened to one object.
#[derive(Clone, Debug)]
pub struct ObjectEvent {
    /// `ObjectCreated:Put`, `ObjectRemoved:Delete`, …; without the `s3:` that filters have.
    pub name: String,
    /// The bucket's region.
    pub region: String,
    /// The bucket's name.
    pub bucket: String,
    /// The object's key, as it is.
    pub key: String,
    /// The object's size, in bytes.
    pub size: u64,
    /// The object's entity tag, without quotes.
    pub e_tag: String,
    /// Larger for the later of two events of one key.
    pub sequencer: u64,
    /// When it happened.
    pub time: SystemTime,
}

/// One or more events, as they go over the wire.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Notification {
    /// The events; we send one at a time.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// One event, as it goes over the wire.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The version of this structure.
    pub event_version: String,
    /// Who tells.
    pub event_source: String,
    /// The bucket's region.
    pub aws_region: String,
    /// ISO 8601, in UTC, to the millisecond.
    pub event_time: String,
    /// What happened.
    pub event_name: String,
    /// To what.
    pub s3: Entity,
}

/// What an event is about.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entity {
    /// The version of this structure.
    #[serde(rename = "s3SchemaVersion")]
    pub schema_version: String,
    /// The bucket.
    pub bucket: Bucket,
    /// The object.
    pub object: Object,
}

/// A bucket.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its Amazon Resource Name.
    pub arn: String,
}

/// An object.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Object {
    /// Its key, form-encoded: a space is `+`.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// Its entity tag, without quotes.
    #[serde(rename = "eTag")]
    pub e_tag: String,
    /// Hexadecimal, of one length for all, so that it is compared as text.
    pub sequencer: String,
}

impl Notification {
    /// The notification of one event.
    #[must_use]
    pub fn of(event: &ObjectEvent) -> Notification {
        // A time before the first or after the last that the calendar knows is told as the epoch.
        let time = Timestamp::try_from(event.time).unwrap_or_default();
        Notification {
            records: vec![Record {
                event_version: "2.5".to_owned(),
                event_source: "aws:s3".to_owned(),
                aws_region: event.region.clone(),
                event_time: format!("{time:.3}"),
                event_name: event.name.clone(),
                s3: Entity {
                    schema_version: "1.0".to_owned(),
                    bucket: Bucket {
                        arn: format!("arn:aws:s3:::{}", event.bucket),
                        name: event.bucket.clone(),
                    },
                    object: Object {
                        // Between the parts of a key S3 leaves the slash as it is; it decodes to the same.
                        key: byte_serialize(event.key.as_bytes())
                            .collect::<String>()
                            .replace("%2F", "/"),
                        size: event.size,
                        e_tag: event.e_tag.clone(),
                        sequencer: format!("{:016X}", event.sequencer),
                    },
                },
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::{Notification, ObjectEvent};

    #[test]
    fn a_notification_is_s3_s() {
        let event = ObjectEvent {
            name: "ObjectCreated:Put".to_owned(),
            region: "eu-central-1".to_owned(),
            bucket: "photos".to_owned(),
            key: "a dir/ünï+1 &.jpg".to_owned(),
            size: 1024,
            e_tag: "d41d8cd98f00b204e9800998ecf8427e".to_owned(),
            sequencer: 0x00A6_53CF,
            time: UNIX_EPOCH + Duration::from_millis(1_700_000_000_120),
        };
        let told = serde_json::to_value(Notification::of(&event)).unwrap();
        assert_eq!(
            told,
            json!({ "Records": [{
                "eventVersion": "2.5",
                "eventSource": "aws:s3",
                "awsRegion": "eu-central-1",
                "eventTime": "2023-11-14T22:13:20.120Z",
                "eventName": "ObjectCreated:Put",
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "bucket": { "name": "photos", "arn": "arn:aws:s3:::photos" },
                    "object": {
                        "key": "a+dir/%C3%BCn%C3%AF%2B1+%26.jpg",
                        "size": 1024,
                        "eTag": "d41d8cd98f00b204e9800998ecf8427e",
                        "sequencer": "0000000000A653CF",
                    },
                },
            }]})
        );
    }
}
