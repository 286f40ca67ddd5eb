//! Who exists on a test control plane. The API server reads its token file once, at start, so the list is fixed; the
//! tokens are random for each control plane. What people may do is up to the caller's `RoleBinding`s.

use std::{collections::BTreeMap, fmt::Write as _};

use base64ct::{Base64UrlUnpadded, Encoding as _};

use crate::person::Token;

/// The person of the list whose token names no uid.
pub const WITHOUT_UID: &str = "user-18";
/// The person of the list who is in [`GROUP_COUNT`] groups, `group-000` and so on.
pub const WITH_MANY_GROUPS: &str = "user-19";
/// How many groups [`WITH_MANY_GROUPS`] is in.
pub const GROUP_COUNT: usize = 500;

/// The people with a role in certcourier's stories, each with the one group they are in; `BOB` is not `bob`.
const NAMED: [(&str, Option<&str>); 11] = [
    ("alice", Some("operators")),
    ("bob", Some("approvers")),
    ("BOB", Some("approvers")),
    ("carol", Some("downloaders")),
    ("ceo", Some("approvers")),
    ("dave", Some("admins")),
    ("erin", Some("auditors")),
    ("frank", Some("approvers")),
    ("grace", Some("approvers")),
    ("heidi", Some("approvers")),
    ("mallory", None),
];
/// `user-00` and so on: people for whatever a test needs.
const NUMBERED: usize = 20;
/// As long as certcourier's own tokens.
const TOKEN_BYTES: usize = 32;

/// What the API server knows of someone besides the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user name, as in a `RoleBinding`.
    pub name: String,
    /// The uid; none for [`WITHOUT_UID`].
    pub uid: Option<String>,
    /// The groups besides `system:authenticated`, which the API server adds.
    pub groups: Vec<String>,
}

/// Everyone, in the order of the token file.
#[must_use]
pub fn all() -> Vec<Identity> {
    let named = NAMED.iter().map(|(name, group)| identity(name, group.iter().map(|&group| group.to_owned()).collect()));
    let numbered = (0..NUMBERED).map(|number| {
        let name = format!("user-{number:02}");
        let groups = match name.as_str() {
            WITH_MANY_GROUPS => (0..GROUP_COUNT).map(|group| format!("group-{group:03}")).collect(),
            _ => vec!["users".to_owned()],
        };
        identity(&name, groups)
    });
    named.chain(numbered).collect()
}

fn identity(name: &str, groups: Vec<String>) -> Identity {
    let uid = (name != WITHOUT_UID).then(|| format!("uid-{name}"));
    Identity { name: name.to_owned(), uid, groups }
}

/// A new random token for each person, by name.
pub(crate) fn tokens() -> Result<BTreeMap<String, Token>, getrandom::Error> {
    all()
        .into_iter()
        .map(|person| {
            let mut random = [0; TOKEN_BYTES];
            getrandom::fill(&mut random)?;
            Ok((person.name, Token::new(Base64UrlUnpadded::encode_string(&random))))
        })
        .collect()
}

/// The content of `--token-auth-file`: token, user, uid, and the groups as one quoted field.
pub(crate) fn token_file(tokens: &BTreeMap<String, Token>) -> String {
    all().iter().fold(String::new(), |mut file, person| {
        if let Some(token) = tokens.get(&person.name) {
            let uid = person.uid.as_deref().unwrap_or_default();
            let groups = match person.groups.as_slice() {
                // An empty field would be a group without a name.
                [] => String::new(),
                groups => format!(",\"{}\"", groups.join(",")),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(file, "{},{},{uid}{groups}", token.as_str(), person.name);
        }
        file
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_has_a_token_of_their_own_and_one_line_in_the_file() {
        let tokens = tokens().unwrap();
        let file = token_file(&tokens);
        assert_eq!(file.lines().count(), NAMED.len() + NUMBERED);
        let mut distinct: Vec<&str> = tokens.values().map(Token::as_str).collect();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), NAMED.len() + NUMBERED);
        let bob = format!("{},BOB,uid-BOB,\"approvers\"", tokens["BOB"].as_str());
        assert!(file.lines().any(|line| line == bob), "no line for BOB");
        let nameless = format!("{},{WITHOUT_UID},,\"users\"", tokens[WITHOUT_UID].as_str());
        assert!(file.lines().any(|line| line == nameless), "no line without uid");
        let groupless = format!("{},mallory,uid-mallory", tokens["mallory"].as_str());
        assert!(file.lines().any(|line| line == groupless), "no line without groups");
    }

    #[test]
    fn one_person_is_in_five_hundred_groups() {
        let everyone = all();
        let person = everyone.iter().find(|person| person.name == WITH_MANY_GROUPS).unwrap();
        assert_eq!(person.groups.len(), 500);
        assert_eq!(person.groups[499], "group-499");
    }
}
