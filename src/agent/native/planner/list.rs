//! The planner's list as it stands in the state: lenient with what people wrote there, exact in what it writes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::state::patch::Operation;
use crate::state::pointer::Pointer;

/// What a message asks of the planner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Plan(String),
    Continue,
    Other,
}

pub(super) fn request(text: &str) -> Request {
    let text = text.trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let goal = rest.trim();
    match first.trim_end_matches([':', '.', '!']).to_lowercase().as_str() {
        "plan" if !goal.is_empty() => Request::Plan(goal.to_owned()),
        "continue" => Request::Continue,
        _ => Request::Other,
    }
}

/// The steps of a goal: its own parts when it names several, else the usual ones.
pub(super) fn titles(goal: &str) -> Vec<String> {
    let parts: Vec<String> =
        goal.split([',', ';', '\n']).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if parts.len() > 1 {
        return parts;
    }
    ["Understand what it takes", "Gather what is there", "Make a first version", "Check it", "Finish"]
        .map(str::to_owned)
        .to_vec()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Pending,
    Running,
    Done,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
        }
    }
}

/// One item of the list and where it stood when the list was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    index: usize,
    /// Absent when a person added the item without one.
    id: Option<String>,
    pub(super) title: String,
    pub(super) status: Status,
}

/// The items of `/steps`. What is no item is passed over; an unknown status is pending.
pub(super) fn items(steps: Option<&Value>) -> Vec<Item> {
    let elements = steps.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let item = |(index, element): (usize, &Value)| {
        let text = |name: &str| element.get(name).and_then(Value::as_str);
        let title = text("title").filter(|title| !title.is_empty())?.to_owned();
        let status = match text("status") {
            Some("done") => Status::Done,
            Some("running") => Status::Running,
            _ => Status::Pending,
        };
        Some(Item { index, id: text("id").map(str::to_owned), title, status })
    };
    elements.iter().enumerate().filter_map(item).collect()
}

impl Item {
    /// Whether both are the same item, by id or, without one, by title.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.id, &other.id) {
            (None, None) => self.title == other.title,
            (ours, theirs) => ours == theirs,
        }
    }

    /// Writes the status, provided that the item still stands where it stood.
    pub(super) fn set_status(&self, status: Status) -> Vec<Operation> {
        let here = Pointer::root().join("steps").join(self.index.to_string());
        let (name, value) = match &self.id {
            Some(id) => ("id", id.as_str()),
            None => ("title", self.title.as_str()),
        };
        vec![
            Operation::Test { path: here.join(name), value: value.into() },
            Operation::Add { path: here.join("status"), value: status.as_str().into() },
        ]
    }
}
