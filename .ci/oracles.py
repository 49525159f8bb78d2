"""Asks our peers by the official clients of OpenAI, Anthropic, Ollama and OpenTelemetry; fails at the first difference."""

import json
import subprocess
import sys

import anthropic
import ollama
import openai
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

ASKED = [{"role": "user", "content": "hello there"}]
ANSWER = "You said: hello there"
PIECES = ["You ", "said: ", "hello ", "there"]


def same(what, is_, wanted):
    if is_ != wanted:
        sys.exit(f"{what}: {is_!r}, not {wanted!r}")


def refused(what, error, ask):
    try:
        ask()
    except error as told:
        same(what, "who are you?" in str(told), True)
    else:
        sys.exit(f"{what}: a wrong key is taken")


def of_openai(url):
    def client(key):
        return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)

    ours = client("a key")
    answer = ours.chat.completions.create(model="echo", messages=ASKED)
    same("OpenAI's answer", answer.choices[0].message.content, ANSWER)
    same("OpenAI's usage", answer.usage.total_tokens, 14)
    same("OpenAI's request id", answer._request_id, "req_7")
    stream = ours.chat.completions.create(
        model="echo", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    same("OpenAI's pieces", [text for text in texts if text], PIECES)
    same("OpenAI's end", [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1], "stop")
    same("OpenAI's last chunk", (chunks[-1].choices, chunks[-1].usage.completion_tokens), ([], 3))
    vectors = ours.embeddings.create(model="vectors", input=["a", "bcd"]).data
    same("OpenAI's vectors", sorted(vector.embedding for vector in vectors), [[1, 0], [3, 1]])
    refused(
        "OpenAI's refusal",
        openai.AuthenticationError,
        lambda: client("another").chat.completions.create(model="echo", messages=ASKED),
    )


def of_anthropic(url):
    def client(key):
        return anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)

    ours = client("a key")
    asked = {"model": "echo", "max_tokens": 64, "messages": ASKED}
    answer = ours.messages.create(**asked)
    same("Anthropic's answer", (answer.content[0].text, answer.stop_reason), (ANSWER, "end_turn"))
    same("Anthropic's usage", (answer.usage.input_tokens, answer.usage.output_tokens), (11, 3))
    same("Anthropic's request id", answer._request_id, "req_7")
    with ours.messages.stream(**asked) as stream:
        same("Anthropic's pieces", list(stream.text_stream), PIECES)
        last = stream.get_final_message()
    same("Anthropic's streamed usage", (last.usage.input_tokens, last.usage.output_tokens), (11, 3))
    same("Anthropic's end", last.stop_reason, "end_turn")
    refused("Anthropic's refusal", anthropic.AuthenticationError, lambda: client("another").messages.create(**asked))


def of_ollama(url):
    def client(key):
        return ollama.Client(host=url, headers={"Authorization": f"Bearer {key}"})

    ours = client("a key")
    answer = ours.chat(model="echo", messages=ASKED)
    same("Ollama's answer", (answer.message.content, answer.done_reason), (ANSWER, "stop"))
    pieces = list(ours.chat(model="echo", messages=ASKED, stream=True))
    same("Ollama's pieces", [piece.message.content for piece in pieces], [*PIECES, ""])
    same("Ollama's usage", (pieces[-1].done, pieces[-1].prompt_eval_count, pieces[-1].eval_count), (True, 11, 3))
    vectors = ours.embed(model="vectors", input=["a", "bcd"]).embeddings
    same("Ollama's vectors", [list(vector) for vector in vectors], [[1, 0], [3, 1]])
    refused("Ollama's refusal", ollama.ResponseError, lambda: client("another").chat(model="echo", messages=ASKED))


def of_opentelemetry(url):
    exporter = OTLPSpanExporter(endpoint=url, compression=Compression.Gzip)
    provider = TracerProvider(resource=Resource.create({"service.name": "python"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("oracle")
    with tracer.start_as_current_span("outer", kind=SpanKind.SERVER, attributes={"object.size": 1024}):
        with tracer.start_as_current_span("inner") as inner:
            inner.set_status(Status(StatusCode.ERROR, "the disk is full"))
    provider.shutdown()


def collected(spans):
    same("the collector's spans", [span["name"] for span in spans], ["inner", "outer"])
    inner, outer = spans
    same("a span's service", inner["service"], "python")
    same("a span's parent", (inner["parent"], outer["parent"]), (outer["id"], None))
    same("a span's attributes", outer["attributes"], {"object.size": "1024"})
    same("a span's error", (inner["error"], outer["error"]), ("the disk is full", None))


def main():
    peers = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with peers:
        where = json.loads(peers.stdout.readline())
        of_openai(where["ai"])
        of_anthropic(where["ai"])
        of_ollama(where["ai"])
        of_opentelemetry(where["otlp"])
        peers.stdin.close()
        seen = json.loads(peers.stdout.readline())
    same("the peers' end", peers.returncode, 0)
    collected(seen["spans"])
    print(f"four official clients are content with our peers, after {seen['asked']} requests and {len(seen['spans'])} spans")


main()
