use k8s_openapi::{
    api::rbac::v1::{RoleBinding, Subject},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};

use super::{
    shape::{self, Granting as _, Owner, TOKEN_KEY},
    *,
};
use crate::{
    api::{DownloadRequest, Requester},
    cluster::secrets::SecretObject,
    controller::fixtures,
    token::Token,
};

const SECRET: &str = "api-download-token";

fn request(name: &str, uid: &str) -> DownloadRequest {
    let mut request = fixtures::request("alice", 0);
    request.metadata.name = Some(name.to_owned());
    request.metadata.uid = Some(uid.to_owned());
    request
}

fn metadata() -> ObjectMeta {
    shape::metadata(&names::token_reader(&[7; 16]), &request("api", "uid-1"), 2)
}

fn role() -> Role {
    shape::role(metadata(), SECRET)
}

fn binding() -> RoleBinding {
    shape::binding(metadata(), &Requester { username: "alice".to_owned(), ..Requester::default() })
}

fn of(uid: &str) -> Owner {
    Owner::Request { name: "api".to_owned(), uid: uid.to_owned() }
}

/// An edit, and what it is called.
type Forgery = (&'static str, fn(&mut ObjectMeta));

/// Edits of metadata after which an object is not ours any more, though label and owner may still be there.
fn forgeries() -> Vec<Forgery> {
    vec![
        ("no label", |of| of.labels = None),
        ("the label alone", |of| of.labels.iter_mut().for_each(|labels| _ = labels.remove(names::VELERO_EXCLUDE))),
        ("a label that is no number", |of| {
            of.labels.iter_mut().for_each(|labels| _ = labels.insert(names::TOKEN.to_owned(), "true".to_owned()));
        }),
        ("two owners", |of| of.owner_references.iter_mut().for_each(|owners| owners.push(owners[0].clone()))),
        ("an owner of another kind", |of| edit_owner(of, |owner| owner.kind = "ConfigMap".to_owned())),
        ("an owner that controls nothing", |of| edit_owner(of, |owner| owner.controller = None)),
        ("an owner that is held up", |of| edit_owner(of, |owner| owner.block_owner_deletion = Some(true))),
        ("an owner of another name", |of| edit_owner(of, |owner| owner.name = "web".to_owned())),
    ]
}

fn edit_owner(metadata: &mut ObjectMeta, edit: fn(&mut OwnerReference)) {
    edit(&mut metadata.owner_references.as_mut().unwrap()[0]);
}

#[test]
fn a_role_grants_the_reading_of_one_secret_and_nothing_else() {
    let rules = role().rules.unwrap();
    let [rule] = rules.as_slice() else { panic!("one rule: {rules:?}") };
    assert_eq!(rule.verbs, ["get"]);
    assert_eq!(rule.resources.as_deref(), Some(&["secrets".to_owned()][..]));
    assert_eq!(rule.resource_names.as_deref(), Some(&[SECRET.to_owned()][..]));
    let binding = binding();
    assert_eq!(Some(&binding.role_ref.name), binding.metadata.name.as_ref());
    assert_eq!(binding.subjects.unwrap()[0].name, "alice");
}

#[test]
fn the_name_of_a_reader_is_random_and_told_from_others() {
    assert_ne!(names::token_reader(&[1; 16]), names::token_reader(&[2; 16]));
    assert!(names::is_token_reader(&names::token_reader(&[0xAF; 16])));
    let long = format!("{}0", names::token_reader(&[1; 16]));
    for name in ["certcourier-token-", "certcourier-token-0123", SECRET, "certcourier-controller", long.as_str()] {
        assert!(!names::is_token_reader(name), "{name}");
    }
}

#[test]
fn only_what_is_exactly_as_we_make_it_is_ours() {
    assert_eq!(
        shape::of_role(&role()).map(|grant| (grant.secret, grant.owner)),
        Some((SECRET.to_owned(), of("uid-1")))
    );
    assert_eq!(shape::of_binding(&binding()), Some(of("uid-1")));
    for (what, forge) in forgeries() {
        let (mut role, mut binding) = (role(), binding());
        forge(&mut role.metadata);
        forge(&mut binding.metadata);
        assert_eq!(shape::of_role(&role), None, "Role with {what}");
        assert!(!role.is_the_same(&self::role()) && !binding.is_the_same(&self::binding()), "{what}");
        if what != "an owner of another name" {
            assert_eq!(shape::of_binding(&binding), None, "RoleBinding with {what}");
        }
    }
    let edited = |edit: fn(&mut Role)| {
        let mut role = role();
        edit(&mut role);
        role
    };
    for role in [
        edited(|role| role.rules = None),
        edited(|role| role.rules = Some(vec![])),
        edited(|role| role.rules.iter_mut().for_each(|rules| rules.push(rules[0].clone()))),
        edited(|role| role.rules.as_mut().unwrap()[0].verbs.push("list".to_owned())),
        edited(|role| role.rules.as_mut().unwrap()[0].resource_names = Some(vec!["api-tls".to_owned()])),
        edited(|role| role.rules.as_mut().unwrap()[0].resource_names = None),
        edited(|role| role.metadata.name = Some(SECRET.to_owned())),
    ] {
        assert_eq!(shape::of_role(&role), None, "{role:?}");
    }
}

/// The attack: label and owner are right, and the RoleBinding is for somebody else.
#[test]
fn a_binding_with_label_and_owner_for_somebody_else_is_not_the_one_that_was_made() {
    let ours = binding();
    assert!(ours.is_the_same(&binding()));
    let mut labelled = binding();
    labelled.metadata.labels.as_mut().unwrap().insert("team".to_owned(), "sre".to_owned());
    assert!(labelled.is_the_same(&ours), "a label that a webhook adds grants nothing");
    let mut two = binding();
    let subjects = two.subjects.as_mut().unwrap();
    subjects.push(Subject { name: "mallory".to_owned(), ..subjects[0].clone() });
    let mut other = binding();
    other.subjects.as_mut().unwrap()[0].name = "mallory".to_owned();
    let mut nobody = binding();
    nobody.subjects = None;
    let mut role = binding();
    role.role_ref.name = "admin".to_owned();
    for forged in [two.clone(), other, nobody.clone(), role.clone()] {
        assert!(!forged.is_the_same(&ours), "{forged:?}");
    }
    for forged in [two, nobody, role] {
        assert_eq!(shape::of_binding(&forged), None, "{forged:?}");
    }
    let mut empty = self::role();
    empty.rules = Some(vec![]);
    assert!(!empty.is_the_same(&self::role()), "an empty Role keeps the requester from reading");
}

#[test]
fn what_was_orphaned_belongs_to_nobody() {
    let mut left = role();
    left.metadata.owner_references = None;
    assert_eq!(shape::of_role(&left).unwrap().owner, Owner::Nobody);
    assert!(Owner::Nobody.is(&request("api", "uid-2")));
    assert!(of("uid-1").is(&request("api", "uid-1")) && !of("uid-1").is(&request("api", "uid-2")));
}

fn secret(token: &Token, more: &[(&str, &[u8])]) -> SecretObject {
    let content: Vec<(&str, &[u8])> =
        [(TOKEN_KEY, token.expose().as_bytes())].into_iter().chain(more.iter().copied()).collect();
    let mut secret = SecretObject::of("Opaque", &content);
    secret.metadata = ObjectMeta { name: Some(SECRET.to_owned()), ..metadata() };
    secret
}

#[test]
fn a_secret_is_ours_only_with_a_token_of_this_request_and_no_other_keys() {
    let token = Token::mint("payments", "api", &[7; 32]);
    let ours = |secret: &SecretObject| shape::of_secret(secret, "payments", "api").map(|(_, owner)| owner);
    assert_eq!(ours(&secret(&token, &[("url", b"x"), ("passphrase", b"y")])), Some(of("uid-1")));
    assert_eq!(ours(&secret(&token, &[("mine", b"x")])), None);
    let mut typed = secret(&token, &[]);
    typed.type_name = "example.com/x".to_owned();
    assert_eq!(ours(&typed), None);
    assert_eq!(ours(&secret(&Token::mint("payments", "web", &[7; 32]), &[])), None);
    assert_eq!(ours(&secret(&Token::mint("other", "api", &[7; 32]), &[])), None);
    assert!(shape::of_secret(&secret(&token, &[]), "payments", "web").is_none(), "its owner is of another name");
    for (what, forge) in forgeries() {
        let mut forged = secret(&token, &[]);
        forge(&mut forged.metadata);
        assert_eq!(ours(&forged), None, "{what}");
    }
}

#[test]
fn what_is_known_is_learnt_noted_and_forgotten() {
    let grants = Grants::default();
    let mut foreign = role();
    foreign.metadata.name = Some("somebody-elses".to_owned());
    grants.learn_of(&[role(), foreign]);
    let known = |secret| -> Vec<(String, Option<String>)> {
        grants.of("payments", secret).into_iter().map(|reader| (reader.name, reader.uid)).collect()
    };
    let (own, made) = (names::token_reader(&[7; 16]), names::token_reader(&[8; 16]));
    assert_eq!(known(SECRET), [(own.clone(), Some("uid-1".to_owned())), ("somebody-elses".to_owned(), None)]);
    grants.note("payments", SECRET, &made, Some("uid-2".to_owned()));
    grants.note("payments", SECRET, &made, Some("uid-2".to_owned()));
    assert_eq!(known(SECRET).len(), 3);
    assert!(grants.is_being_made("payments", SECRET, &made) && !grants.is_being_made("other", SECRET, &made));
    assert!(!grants.is_being_made("payments", SECRET, &own), "it was found");
    for name in [&own, &made] {
        grants.forget("payments", SECRET, name);
    }
    assert_eq!(known(SECRET), [("somebody-elses".to_owned(), None)]);
    grants.forget("payments", SECRET, "somebody-elses");
    grants.with(|known| assert!(known.readers.is_empty(), "what is forgotten takes no room"));
    assert!(known("web-download-token").is_empty());
}

#[test]
fn a_list_forgets_what_is_not_in_it_but_nothing_that_may_have_been_made_meanwhile() {
    let grants = Grants::default();
    grants.note("payments", SECRET, "made", None);
    let (now, nothing) = (Instant::now(), HashSet::new());
    let later = now + LONGEST_MINT + Duration::from_secs(1);
    let known = || grants.of("payments", SECRET).len();
    grants.has_seen_all(Some("elsewhere"), later, &nothing);
    assert_eq!(known(), 1, "another namespace was listed");
    grants.has_seen_all(Some("payments"), now, &nothing);
    assert_eq!(known(), 1, "it may have been made after the list began");
    grants.has_seen_all(None, later, &HashSet::from([("payments".to_owned(), "made".to_owned())]));
    assert_eq!(known(), 1, "it was in the list");
    grants.has_seen_all(None, later, &nothing);
    assert_eq!(known(), 0);
}
