//! Prints the JSON schema of `httputil.toml`: `cargo run -q --bin schema > config/httputil.schema.json`.

fn main() {
    print!("{}", httputil::Config::schema());
}
