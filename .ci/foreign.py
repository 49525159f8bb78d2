"""moto's S3, and what boto3 puts into it and finds in it.

serve PORT               a store, until it is told to end
fill URL BUCKET COUNT    COUNT small objects, and some with difficult keys, with headers of their own, and in parts
make URL BUCKET          an empty bucket
read URL BUCKET          each object as JSON: its size, SHA-256, content type, metadata and storage class
"""

import hashlib
import json
import signal
import sys

import boto3
import botocore.config

DIFFICULT = [
    "a b/c+d.txt",
    "a//b",
    "dir/",
    "über/ñ/日本.txt",
    "percent%2Fslash%20",
    "q?u&e=r#y",
    "quote\"'<>;:@$,!*()~",
]
PART = 5 << 20


def store(url):
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="a secret",
        config=botocore.config.Config(s3={"addressing_style": "path"}, proxies={}),
    )


def serve(port):
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=int(port), verbose=False)
    server.start()
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    server.stop()


def fill(url, bucket, count):
    s3 = store(url)
    s3.create_bucket(Bucket=bucket)
    for number in range(int(count)):
        s3.put_object(Bucket=bucket, Key=f"many/{number:05}", Body=f"object {number}".encode())
    for number, key in enumerate(DIFFICULT):
        headers = {"ContentType": f"text/x-{number}", "Metadata": {"whose": f"number {number}"}}
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode() * (1 + number), **headers)
    upload = {"Bucket": bucket, "Key": "in parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, ContentType="video/mp4")["UploadId"]
    parts = []
    for number in range(1, 4):
        body = bytes([number]) * (PART if number < 3 else 1000)
        tag = s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def make(url, bucket):
    store(url).create_bucket(Bucket=bucket)


def read(url, bucket):
    s3 = store(url)
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for listed in page.get("Contents", []):
            key = listed["Key"]
            object_ = s3.get_object(Bucket=bucket, Key=key)
            body = object_["Body"].read()
            found[key] = {
                "size": listed["Size"],
                "sha256": hashlib.sha256(body).hexdigest(),
                "type": object_["ContentType"],
                "metadata": object_["Metadata"],
                "class": object_.get("StorageClass", "STANDARD"),
            }
    print(json.dumps(found))


if __name__ == "__main__":
    # Before there is any thread that could get it instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT] if sys.argv[1] == "serve" else [])
    {"serve": serve, "fill": fill, "make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
