//! What `probe --json` printed, checked against its schema.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;
use xdp_trafficgen::output::probe::json::SCHEMA;

use crate::{
    harness::{Finished, trafficgen},
    probe::schema,
};

static STRICT: LazyLock<Validator> = LazyLock::new(|| schema::strict(SCHEMA));

/// A run of `probe --json`.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) object: Value,
    finished: Finished,
}

impl Probe {
    #[track_caller]
    pub(crate) fn of(arguments: &[&str]) -> Self {
        Self::from(Finished::of(trafficgen(arguments)))
    }

    /// What must hold of every report.
    #[track_caller]
    pub(crate) fn from(finished: Finished) -> Self {
        assert_eq!(finished.stdout.lines().count(), 1, "one object on one line: {finished:?}");
        let object: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("{error}: {finished:?}"));
        let wrong: Vec<String> = STRICT
            .iter_errors(&object)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}: {object}");
        let findings = object["findings"].as_array().unwrap();
        for finding in findings {
            assert!(finding["severity"] != "blocks" || finding["cure"] != "", "no cure: {finding}");
        }
        let ready = object["verdict"] != "not_ready";
        assert!(!ready || object["trial"]["frames_tx"] != 0, "{object}");
        assert!(ready || finished.code == Some(2), "{finished:?}");
        Self { object, finished }
    }

    /// What keeps the interface from being ready, which the exit status shows too; none when it is
    /// ready, with or without remarks.
    #[track_caller]
    pub(crate) fn blocked_by(&self) -> Option<&str> {
        let Self { object, finished } = self;
        let worst = &object["findings"][0];
        let blocks = worst["severity"] == "blocks";
        assert_eq!(object["verdict"] == "not_ready", blocks, "{object}");
        assert_eq!(finished.code, Some(if blocks { 2 } else { 0 }), "{finished:?}");
        blocks.then(|| worst["code"].as_str().unwrap())
    }
}
