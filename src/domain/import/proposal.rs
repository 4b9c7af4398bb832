//! What a job of an import holds before and after it may run: the plan, what a person is asked, and how
//! to plan anew once that is answered. What the answers mean is `options`' business.

use serde::{Deserialize, Serialize};

use super::format::Format;
use super::plan::ImportPlan;

/// Something that a person must decide about a file; never guessed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The parameter that answers it, as a JSON pointer: `/sheet`, `/mapping/<source>`.
    pub path: String,
    /// The broken rule, e.g. `ambiguous_sheet`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

/// Whether a refusal of this code is a question that one of the parameters answers. (A column that the
/// list lacks is one in a dry run alone: else the sender is told at once.)
pub fn asks(code: &str) -> bool {
    const QUESTIONS: [&str; 7] = [
        "ambiguous_date_order",
        "ambiguous_delimiter",
        "ambiguous_entry",
        "ambiguous_sheet",
        "header_not_first",
        "nested_objects",
        "no_header",
    ];
    QUESTIONS.contains(&code)
}

/// The refusal, or question, about a column of the file that the list lacks.
pub const UNMAPPED: &str = "unmapped_column";

/// What is stored with the job of an import.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// None: there is something to be answered first.
    #[serde(flatten)]
    pub plan: Option<ImportPlan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// The parameters as the person said them, so that an answer is one more of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<(String, String)>,
    /// What the sender called the file, where that meant anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<Format>,
    /// Which file holds the rows, where they were written anew after an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_file: Option<String>,
    /// Of the list to be made before the first row is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_name: Option<String>,
}

impl Proposal {
    /// The parameters with the answers in the place of what was said before.
    pub fn answered(&self, answers: &[(String, String)]) -> Vec<(String, String)> {
        let said_anew = |name: &str| answers.iter().any(|(answer, _)| answer == name);
        let kept = self.parameters.iter().filter(|(name, _)| !said_anew(name));
        kept.chain(answers).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn an_answer_takes_the_place_of_what_was_said() {
        let proposal = Proposal {
            parameters: vec![pair("sheet", "A"), pair("mode", "create")],
            ..Proposal::default()
        };
        assert_eq!(
            proposal.answered(&[pair("sheet", "B"), pair("header_row", "2")]),
            [
                pair("mode", "create"),
                pair("sheet", "B"),
                pair("header_row", "2")
            ]
        );
    }

    #[test]
    fn what_has_no_plan_yet_is_read_back_without_one() {
        let proposal = Proposal {
            parameters: vec![pair("sheet", "A")],
            ..Proposal::default()
        };
        let stored = serde_json::to_value(&proposal).unwrap();
        assert_eq!(
            serde_json::from_value::<Proposal>(stored).unwrap(),
            proposal
        );
    }
}
