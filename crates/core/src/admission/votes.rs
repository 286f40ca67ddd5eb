//! Policy `downloadrequests-status`: the operator writes everything but votes, people write one vote of their own.

use k8s_openapi::api::admissionregistration::v1::Validation;

use super::{
    Identity, PROBE_DIGEST, PROBE_MESSAGE, REQUEST_CLOSED, cel,
    draft::{Draft, on, right, rule, saying},
    name,
    requests::upkeep::{MAX_MANAGED_FIELDS, ONE_MORE},
};
use crate::api::{GROUP, Phase, names::MAX_VOTE_GROUPS};

pub(super) fn draft(identity: &Identity) -> Draft {
    let closed = cel::list(Phase::ALL.into_iter().filter(|phase| !phase.is_open()).map(Phase::name));
    Draft::new(name::VOTES, vec![on(GROUP, "*", &["UPDATE"], &["downloadrequests/status"])])
        .variable("operator", cel::caller_in(identity.users()))
        .variable("status", "object.?status.orValue({})")
        .variable("oldStatus", "oldObject.?status.orValue({})")
        .variable("votes", "object.?status.?approvals.orValue([])")
        .variable("oldVotes", "oldObject.?status.?approvals.orValue([])")
        // Comparing every vote with every other takes seconds when there are 256, so a vote is added at the end.
        .variable("added", "size(variables.votes) == 0 ? [] : [variables.votes[size(variables.votes) - 1]]")
        .variable("digest", "oldObject.?status.?review.?digest.orValue('')")
        .variable("managedFields", cel::managed_fields("object"))
        .rule(is_no_probe())
        .rule(operator_does_not_vote())
        .rule(voter_is_a_person())
        .rule(voter_holds_verb())
        .rule(voter_is_not_the_requester())
        .rule(request_is_open(&closed))
        .rule(one_vote_is_appended())
        .rule(nothing_else_changes())
        .rule(vote_is_own_and_current())
        .rule(groups_are_own())
        .rule(one_approval_each())
        .rule(managed_fields_fit())
}

/// A write of the status may bring `metadata.managedFields` along. However large it is, one more vote fits.
fn managed_fields_fit() -> Validation {
    let (now, before) = ("variables.managedFields", cel::managed_fields("oldObject"));
    rule(
        format!("variables.operator || {now} <= {MAX_MANAGED_FIELDS} || {now} <= {before} + {ONE_MORE}"),
        &format!(
            "metadata.managedFields of a request holds at most {MAX_MANAGED_FIELDS} characters: do not write it yourself"
        ),
    )
}

/// A status update leaves labels alone, so the probe shows itself by the digest of its review.
fn is_no_probe() -> Validation {
    rule(format!("object.?status.?review.?digest.orValue('') != {}", cel::text(PROBE_DIGEST)), PROBE_MESSAGE)
}

fn operator_does_not_vote() -> Validation {
    right(
        "!variables.operator || variables.votes == variables.oldVotes",
        "the operator must not write status.approvals: only people vote",
    )
}

fn voter_is_a_person() -> Validation {
    right(
        "variables.operator || !request.userInfo.username.startsWith('system:')",
        "approvers must be people: a ServiceAccount or another system user cannot vote; to revoke the request, \
         annotate it with certcourier.io/revoke",
    )
}

fn voter_holds_verb() -> Validation {
    saying(
        right(
            "variables.operator ||
             authorizer.group('certcourier.io').resource('certificates').namespace(request.namespace)
               .name(object.spec.certificateRef.name).check('approve').allowed()",
            "the caller lacks verb approve on this certificate",
        ),
        "'user ' + request.userInfo.username + ' lacks verb approve on certificates.certcourier.io/' +
         object.spec.certificateRef.name + ' in namespace ' + request.namespace +
         ': ask for ClusterRole certcourier-approver there'",
    )
}

/// Some authenticators ignore case, and then `BOB` is `bob`.
fn voter_is_not_the_requester() -> Validation {
    right(
        "variables.operator ||
         request.userInfo.username.lowerAscii() != object.spec.?requestedBy.?username.orValue('').lowerAscii()",
        "no self-approval: someone else must vote; to revoke your own request, annotate it with certcourier.io/revoke",
    )
}

fn request_is_open(closed: &str) -> Validation {
    saying(
        rule(
            format!("variables.operator || !(variables.oldStatus.?phase.orValue('') in {closed})"),
            &format!("{REQUEST_CLOSED}: it takes no more votes"),
        ),
        format!(
            "'{REQUEST_CLOSED} (' + string(variables.oldStatus.?phase.orValue('')) +
         '): it takes no more votes'"
        ),
    )
}

fn one_vote_is_appended() -> Validation {
    rule(
        "variables.operator ||
         (size(variables.added) == 1 && variables.votes == variables.oldVotes + variables.added)",
        "append exactly one vote to status.approvals and change none",
    )
}

fn nothing_else_changes() -> Validation {
    right(
        "variables.operator ||
         (variables.status.all(k, k == 'approvals' ||
            (k in variables.oldStatus && variables.status[k] == variables.oldStatus[k])) &&
          variables.oldStatus.all(k, k == 'approvals' || k in variables.status))",
        "a voter must change nothing in status but approvals",
    )
}

/// An approval is for what is under review now; a Deny needs no digest, because it must never come too late.
fn vote_is_own_and_current() -> Validation {
    saying(
        rule(
            "variables.operator || (size(variables.added) == 1 &&
             variables.added[0].username == request.userInfo.username &&
             variables.added[0].?uid.orValue('') in ['', request.userInfo.?uid.orValue('')] &&
             (variables.added[0].decision == 'Deny' ||
              (variables.digest != '' && variables.added[0].digest == variables.digest)) &&
             size(variables.added[0].?reason.orValue('')) > 0)",
            "the vote must be your own, for what is under review now (status.review.digest), and with a reason",
        ),
        r#"'the vote must be your own, for what is under review now, and with a reason: write {username: "' +
        request.userInfo.username + '", digest: "' +
        (variables.digest == '' ? 'wait until status.review.digest is there' : string(variables.digest)) +
        '", decision: Approve or Deny, reason: "why"}; and groups: ' +
        '[the group through which you may approve], if it is a group'"#,
    )
}

/// The operator looks at the right to vote again, by the groups that are written here. A list that leaves some out claims
/// less, so it need not be whole.
fn groups_are_own() -> Validation {
    rule(
        format!(
            "variables.operator || variables.added.all(v,
               v.?groups.orValue([]).all(g, g in request.userInfo.?groups.orValue([])) &&
               v.?groups.orValue([]).map(g, size(g)).sum() <= {MAX_VOTE_GROUPS})"
        ),
        &format!(
            "groups in a vote are the voter's own (kubectl auth whoami), at most {MAX_VOTE_GROUPS} characters in all"
        ),
    )
}

fn one_approval_each() -> Validation {
    rule(
        "variables.operator || variables.added.all(v, v.decision == 'Deny') ||
         !variables.oldVotes.exists(v, v.digest == variables.added[0].digest &&
           v.username.lowerAscii() == request.userInfo.username.lowerAscii())",
        "one vote per person and review: you have voted on what is under review now",
    )
}
