//! The environment variables of Python's `huggingface_hub`, read as it reads them (its `constants.py`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Hub, Token};

/// The largest token file that is read.
const MAX_TOKEN_BYTES: u64 = 1 << 12;

/// The hub that variables name; `variable` looks one up, `home` is the user's folder.
pub(super) fn hub(variable: &dyn Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Hub {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
    let user = home.unwrap_or_default();
    let path = |name: &str| set(name).map(|value| expanded(value, &user, variable));
    let home = path("HF_HOME").unwrap_or_else(|| {
        let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache"));
        caches.join("huggingface")
    });
    let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
    let is_true = |value: String| {
        let value = value.to_ascii_uppercase();
        ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
    };
    let is_set = |name: &str| text(name).is_some_and(is_true);
    let offline = text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE"));
    let token = || {
        let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        zograd_files::read_text(&file, MAX_TOKEN_BYTES).ok()
    };
    let token = text("HF_TOKEN")
        .or_else(|| text("HUGGING_FACE_HUB_TOKEN"))
        .or_else(token)
        .map(|token| token.trim().to_owned());
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    Hub {
        cache: cache.unwrap_or_else(|| home.join("hub")),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        offline: offline.is_some_and(is_true),
        token: token
            .filter(|token| !token.is_empty() && !is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN"))
            .map(Token),
    }
}

/// A path with the user's folder in the place of a leading `~`, and values in the place of `$NAME` and `${NAME}`;
/// what is not set stays as it is. Paths that are no UTF-8 stay, too.
fn expanded(value: OsString, user: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    let Some(text) = value.to_str() else {
        return PathBuf::from(value);
    };
    let text = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", user.display())
        }
        _ => text.to_owned(),
    };
    let mut filled = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let (name, whole) = name(&rest[at..]);
        match variable(name).and_then(|value| value.into_string().ok()) {
            Some(value) if !name.is_empty() => filled.push_str(&value),
            _ => filled.push_str(&rest[at..at + whole]),
        }
        rest = &rest[at + whole..];
    }
    filled.push_str(rest);
    PathBuf::from(filled)
}

/// The name behind a `$`, and how many bytes it takes with the `$` and its braces.
fn name(from_dollar: &str) -> (&str, usize) {
    let inside = &from_dollar[1..];
    if let Some((name, _)) = inside
        .strip_prefix('{')
        .and_then(|rest| rest.split_once('}'))
    {
        return (name, name.len() + 3);
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = inside.find(|c| !is_name(c)).unwrap_or(inside.len());
    (&inside[..end], end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Hub {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| OsString::from(value))
        };
        hub(&variable, Some(PathBuf::from("/home/me")))
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        for (variables, cache) in [
            (&[][..], "/home/me/.cache/huggingface/hub"),
            (&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")], "/h/hub"),
            (
                &[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HOME", "/h")],
                "/old",
            ),
            (
                &[("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")],
                "/new",
            ),
            (&[("HF_HOME", "")], "/home/me/.cache/huggingface/hub"),
            (&[("HF_HOME", "~/h")], "/home/me/h/hub"),
            (&[("HF_HOME", "~you/h")], "~you/h/hub"),
            (&[("HF_HOME", "$D/h"), ("D", "/d")], "/d/h/hub"),
            (
                &[("HF_HUB_CACHE", "/a/${D}b/$D_/$/${D"), ("D", "d")],
                "/a/db/$D_/$/${D",
            ),
        ] {
            assert_eq!(of(variables).cache, Path::new(cache), "{variables:?}");
        }
    }

    #[test]
    fn offline_is_what_says_yes() {
        for value in ["1", "true", "ON", "Yes"] {
            assert!(of(&[("HF_HUB_OFFLINE", value)]).offline, "{value}");
            assert!(of(&[("TRANSFORMERS_OFFLINE", value)]).offline, "{value}");
        }
        for value in ["0", "false", "no", "off", "", "2"] {
            assert!(!of(&[("HF_HUB_OFFLINE", value)]).offline, "{value}");
        }
        let both = [("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")];
        assert!(!of(&both).offline);
    }

    #[test]
    fn the_address_and_the_token() {
        assert_eq!(of(&[]).endpoint, "https://huggingface.co");
        assert_eq!(
            of(&[("HF_ENDPOINT", "http://mirror/")]).endpoint,
            "http://mirror"
        );
        let token = |variables: &[(&str, &str)]| of(variables).token.map(|token| token.0);
        assert_eq!(token(&[]), None);
        assert_eq!(token(&[("HF_TOKEN", " hf_a\n")]).as_deref(), Some("hf_a"));
        let both = [("HF_TOKEN", "hf_a"), ("HUGGING_FACE_HUB_TOKEN", "hf_b")];
        assert_eq!(token(&both).as_deref(), Some("hf_a"));
        let private = [("HF_TOKEN", "hf_a"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")];
        assert_eq!(token(&private), None);
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("token"), "hf_c\n").expect("written");
        let home = folder.path().to_str().expect("text");
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("hf_c"));
        let shown = format!("{:?}", of(&[("HF_TOKEN", "hf_secret")]));
        assert!(!shown.contains("hf_secret"), "{shown}");
    }
}
