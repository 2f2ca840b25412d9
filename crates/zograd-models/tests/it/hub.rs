//! Names of models lead to folders, or to a message that helps.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use zograd_models::hub::{Hub, HubError};

fn hub(cache: &Path) -> Hub {
    // nothing listens on the discard port
    Hub::new(cache, "http://127.0.0.1:9")
}

fn put(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("has a parent")).expect("created");
    fs::write(path, text).expect("written");
}

#[test]
fn a_complete_snapshot_is_used_without_the_network() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let repository = cache.path().join("models--org--name");
    let snapshot = repository.join("snapshots/0123abcd");
    put(&repository.join("refs/main"), "0123abcd\n");
    put(&snapshot.join("config.json"), "{}");
    // a configuration alone is an interrupted download
    assert!(hub(cache.path()).resolve("org/name").is_err());
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    put(&snapshot.join("model.safetensors.index.json"), index);
    put(&snapshot.join("one.safetensors"), "");
    assert!(hub(cache.path()).resolve("org/name").is_err());
    put(&snapshot.join("two.safetensors"), "");
    let found = hub(cache.path()).resolve("org/name").expect("cached");
    assert_eq!(found, snapshot);

    put(&repository.join("refs/main"), "../../elsewhere");
    assert!(hub(cache.path()).resolve("org/name").is_err());
}

#[test]
fn an_existing_folder_is_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_str().expect("unicode");
    let found = hub(folder.path()).resolve(path).expect("exists");
    assert_eq!(found, folder.path());
}

#[test]
fn what_is_no_name_is_refused_without_the_network() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    for name in [
        "no-such-folder",
        "../a/b",
        "a/b/c",
        "/a/b",
        "a/",
        "org/na me",
        "org/..",
    ] {
        let error = hub(cache.path())
            .resolve(name)
            .expect_err("must be refused");
        assert!(matches!(error, HubError::NotAModel(_)), "{name}: {error}");
    }
}

#[test]
fn without_a_network_the_message_says_what_to_do_and_comes_soon() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let start = Instant::now();
    let error = hub(cache.path())
        .resolve("org/name")
        .expect_err("nobody answers");
    assert!(start.elapsed() < Duration::from_secs(25));
    let message = error.to_string();
    for part in ["org/name", "HF_HOME", "by hand"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let offline = Hub {
        offline: true,
        ..hub(cache.path())
    };
    let error = offline.resolve("org/name").expect_err("offline");
    assert!(matches!(error, HubError::NotCached { .. }), "{error}");
}

/// A file of a repository: its name, its text, and the size that the hub says it has.
type Served = (&'static str, &'static str, u64);

/// A hub on this machine with one model, and the files that were fetched from it.
fn serve(files: &'static [Served]) -> (String, Receiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let (fetched, seen) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let fetched = fetched.clone();
            std::thread::spawn(move || respond(&stream, files, &fetched));
        }
    });
    (address, seen)
}

/// Answers one request as the hub does.
fn respond(stream: &TcpStream, files: &[Served], fetched: &Sender<&'static str>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next()?.ok()?;
    let headers = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty());
    let range = headers.fold(None, |range, line| {
        let line = line.to_ascii_lowercase();
        line.strip_prefix("range: bytes=")
            .map(str::to_owned)
            .or(range)
    });
    let path = request.split(' ').nth(1)?;
    let answer = if path.starts_with("/api/models/org/name") {
        let names = files
            .iter()
            .map(|(name, ..)| format!("{{\"rfilename\": \"{name}\"}}"));
        let names: Vec<String> = names.collect();
        let json = format!(
            "{{\"sha\": \"c0ffee\", \"siblings\": [{}]}}",
            names.join(", ")
        );
        format!("200 OK\r\ncontent-length: {}\r\n\r\n{json}", json.len())
    } else {
        let name = path.strip_prefix("/org/name/resolve/main/")?;
        let (name, text, size) = files.iter().find(|(other, ..)| *other == name)?;
        let body = match range?.as_str() {
            "0-0" => &text[..1],
            _ => {
                fetched.send(name).ok()?;
                text
            }
        };
        format!(
            "206 Partial Content\r\nx-repo-commit: c0ffee\r\netag: \"{}\"\r\ncontent-range: bytes 0-0/{size}\r\n\
             content-length: {}\r\n\r\n{body}",
            name.replace('.', ""),
            body.len()
        )
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {}",
        answer.replacen("\r\n", "\r\nconnection: close\r\n", 1)
    )
    .ok()
}

const CONFIG: &str = r#"{"model_type": "opt", "vocab_size": 8, "hidden_size": 4, "num_hidden_layers": 1,
    "num_attention_heads": 2, "ffn_dim": 8, "max_position_embeddings": 16}"#;

#[test]
fn a_model_is_fetched_after_its_size_was_told() {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let index = r#"{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}"#;
    let files: &'static [Served] = Box::leak(Box::new([
        ("one.safetensors", "1", 1),
        ("model.safetensors.index.json", index, index.len() as u64),
        ("two.safetensors", "22", 2),
        ("config.json", CONFIG, CONFIG.len() as u64),
        ("README.md", "not wanted", 10),
    ]));
    let (address, fetched) = serve(files);
    let hub = Hub::new(cache.path(), &address);
    let refused = hub.resolve_with("org/name", &mut |download| {
        assert_eq!((download.model, download.bytes), ("org/name", 3));
        assert_eq!(
            (download.cache, download.config.hidden_size),
            (cache.path(), 4)
        );
        Err("no, thank you".to_owned())
    });
    let refused = refused.expect_err("refused").to_string();
    assert_eq!(refused, "no, thank you");
    let names = |fetched: &Receiver<&'static str>| fetched.try_iter().collect::<Vec<_>>();
    assert_eq!(
        names(&fetched),
        ["config.json", "model.safetensors.index.json"]
    );

    let folder = hub.resolve("org/name").expect("fetched");
    assert_eq!(names(&fetched), ["one.safetensors", "two.safetensors"]);
    assert_eq!(
        fs::read_to_string(folder.join("two.safetensors")).expect("there"),
        "22"
    );
    assert!(!folder.join("README.md").exists());
    // and from then on it is in the cache
    assert_eq!(hub.resolve("org/name").expect("cached"), folder);
    assert!(names(&fetched).is_empty());
}

/// What cannot be read or has no room is not fetched.
#[test]
fn weights_that_are_of_no_use_are_not_fetched() {
    let mixtral = r#"{"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]}"#;
    for (config, size, parts) in [
        (
            mixtral,
            1,
            &["org/name", "it is a mixtral (MixtralForCausalLM)"][..],
        ),
        (
            CONFIG,
            1 << 60,
            &[
                "org/name",
                "1152921504606846976 bytes",
                "are free",
                "HF_HOME",
            ],
        ),
    ] {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let files: &'static [Served] = Box::leak(Box::new([
            ("pytorch_model.bin", "weights", size),
            ("config.json", config, config.len() as u64),
        ]));
        let (address, fetched) = serve(files);
        let error = Hub::new(cache.path(), &address).resolve("org/name");
        let error = error.expect_err("refused").to_string();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(fetched.try_iter().collect::<Vec<_>>(), ["config.json"]);
    }
}
