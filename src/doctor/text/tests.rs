use super::*;
use crate::doctor::report::{Check, Examined, GuardObject, HeldRight, Looks, Severity};

fn report() -> Report {
    Report {
        operator_namespace: "certcourier-system".to_owned(),
        operator: vec!["ServiceAccount/certcourier-system/certcourier".to_owned()],
        namespaces: vec![
            Examined { name: "payments".to_owned(), certificates: 1, secrets: vec!["api-tls".to_owned()] },
            Examined { name: "shop".to_owned(), certificates: 3, secrets: vec![] },
        ],
        guard: GuardReport {
            state: Some("Intact".to_owned()),
            epoch: Some("9f86d081884c7d659a2feaa0c55ad015".to_owned()),
            probe_age_seconds: Some(3),
            objects: vec![GuardObject {
                kind: "ValidatingAdmissionPolicy".to_owned(),
                name: "tokens.certcourier.io".to_owned(),
                state: ObjectState::Intact,
            }],
            ..GuardReport::default()
        },
        holders: vec![
            Holder {
                right: HeldRight::Approve,
                subject: "User/bob".to_owned(),
                namespaces: vec!["payments".to_owned()],
                certificates: vec!["api".to_owned()],
                via: vec![],
            },
            Holder {
                right: HeldRight::ExportKey,
                subject: "Group/operators".to_owned(),
                namespaces: vec!["*".to_owned()],
                certificates: vec![],
                via: vec![],
            },
        ],
        set_aside: vec![SetAside { because: SetAsideReason::ControlPlane, subject: "Group/system:masters".to_owned() }],
        findings: vec![Finding {
            severity: Severity::High,
            check: Check::ReadsSecrets,
            subject: "User/mallory".to_owned(),
            namespaces: vec!["payments".to_owned()],
            names: vec![],
            what: "may get, list secrets".to_owned(),
            why: "they read the private key itself: no policy, approval or receipt of certcourier sees it".to_owned(),
            remedy: "remove the right, or limit it by resourceNames to Secrets that no Certificate names; a download \
                     needs no right on Secrets"
                .to_owned(),
            via: vec!["RoleBinding payments/m -> Role payments/reader".to_owned()],
        }],
        notes: vec![Finding {
            severity: Severity::Note,
            check: Check::KeepsCertificates,
            subject: "User/dave".to_owned(),
            namespaces: vec!["payments".to_owned()],
            names: vec!["api-tls".to_owned()],
            what: "may get secrets named api-tls".to_owned(),
            why: "they write Certificates there".to_owned(),
            remedy: "nothing".to_owned(),
            via: vec![],
        }],
        looks: Looks { tried: 12, failed: 1 },
        not_looked_at: vec![Gap {
            what: "what Roles allow".to_owned(),
            right: Some("list roles.rbac.authorization.k8s.io in namespace shop".to_owned()),
            cause: "forbidden".to_owned(),
        }],
        grant: vec!["kubectl -n shop create role certcourier-doctor --verb=list".to_owned()],
    }
}

#[test]
fn the_table_is_what_it_is() {
    let wanted = "\
INCOMPLETE: 1 of 12 checks could not be made. There may be more to find than what is listed here;
the end says what is missing.

GUARD         Intact, probed 3 s ago, epoch 9f86d081884c, 1 of 1 policies and bindings are in place
OPERATOR      ServiceAccount/certcourier-system/certcourier (namespace certcourier-system)
NAMESPACES    payments (1 Certificate), shop (3 Certificates)
CONTROL PLANE Group/system:masters (no findings)

RIGHT      WHO              WHERE
approve    User/bob         payments (only api)
exportkey  Group/operators  all namespaces

1 finding

high      User/mallory may get, list secrets in payments [ReadsSecrets]
          why  they read the private key itself: no policy, approval or receipt of certcourier sees
               it
          do   remove the right, or limit it by resourceNames to Secrets that no Certificate names;
               a download needs no right on Secrets
          via  RoleBinding payments/m -> Role payments/reader

1 note: no finding, and worth knowing

note      User/dave may get secrets named api-tls in payments [KeepsCertificates]
          why  they write Certificates there
          do   nothing

Could not be checked:
  - what Roles allow
    missing right: list roles.rbac.authorization.k8s.io in namespace shop
An administrator grants what is missing with:
  kubectl -n shop create role certcourier-doctor --verb=list
";
    assert_eq!(text(&report()), wanted);
}

#[test]
fn an_empty_report_says_so() {
    let empty = Report { operator_namespace: "x".to_owned(), ..Report::default() };
    assert_eq!(
        text(&empty),
        "GUARD         unknown\nOPERATOR      unknown (namespace x)\nNAMESPACES    none with Certificates\n\nNo findings.\n"
    );
}

#[test]
fn what_could_not_be_looked_at_comes_first_and_is_never_no_finding() {
    let blind = Report { findings: vec![], notes: vec![], looks: Looks { tried: 14, failed: 9 }, ..report() };
    let text = text(&blind);
    assert!(text.starts_with("INCOMPLETE: 9 of 14 checks could not be made."), "{text}");
    assert!(text.contains("\nNothing was found in what could be checked.\n"), "{text}");
    assert!(!text.contains("No findings."), "{text}");
    let unread = Report { looks: Looks { tried: 14, failed: 0 }, ..blind };
    assert!(super::text(&unread).starts_with("INCOMPLETE: something could not be read."));
}

#[test]
fn a_name_cannot_move_the_cursor() {
    let mut evil = report();
    evil.findings[0].subject = "User/\u{1b}[2Jmallory\r\nNo findings.".to_owned();
    let text = text(&evil);
    assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
    assert!(!text.lines().any(|line| line == "No findings."), "{text}");
}

#[test]
fn no_line_but_a_command_is_wider_than_the_page() {
    let mut wide = report();
    wide.grant.clear();
    wide.findings[0].via =
        (0..20).map(|number| format!("RoleBinding payments/{number} {}", "word ".repeat(40))).collect();
    wide.set_aside = (0..50)
        .map(|number| SetAside {
            because: SetAsideReason::Trusted,
            subject: format!("ServiceAccount/namespace-{number}/name-{number}"),
        })
        .collect();
    for line in text(&wide).lines() {
        assert!(line.chars().count() <= WIDTH, "{line}");
    }
    assert!(text(&wide).contains("42 more"));
}
