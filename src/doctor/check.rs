//! The one list of what the doctor looks for. docs/troubleshooting.md has a row for each, and a test compares the two.

use serde::Serialize;

use crate::api::words;

words! {
    /// What is looked for: the id of a finding. The order is the one in which findings of one severity are listed.
    #[derive(Serialize)]
    pub enum Check {
        /// What the guard last wrote.
        Guard,
        /// The live admission policies beside those that should be there.
        AdmissionPolicy,
        /// Something that is not certcourier's can change requests and votes during admission.
        MutatesRequests,
        /// Who the admission policies take for the operator.
        OperatorIdentity,
        /// A subject can act as the operator.
        BecomesOperator,
        /// A subject that is not the operator is bound to a role of the operator.
        HoldsOperatorRole,
        /// A subject reads Secrets of the operator's namespace.
        ReadsOperatorSecrets,
        /// A subject decides where people's tokens go.
        RedirectsPeople,
        /// A subject can put another program in the server's place.
        MovesServer,
        /// A subject can stop the controller.
        StopsController,
        /// A subject can have the API server refuse the operator's calls.
        ThrottlesOperator,
        /// A subject can cut the operator off from the API server.
        CutsOffOperator,
        /// A subject can have the API server refuse what is new in a namespace.
        ClosesNamespaces,
        /// A subject can have the API server stop serving certcourier's kinds.
        UnservesKinds,
        /// A subject may do everything.
        Everything,
        /// A subject reads the Secrets behind Certificates.
        ReadsSecrets,
        /// A subject can have a pod read them.
        MountsSecrets,
        /// A subject may act as others.
        Impersonates,
        /// A subject can have client certificates of others.
        IssuesCertificates,
        /// A subject can act as the `ServiceAccount`s of a namespace with Certificates.
        TakesServiceAccountTokens,
        /// A subject may change admission policies and webhooks.
        EditsAdmission,
        /// A subject may change certcourier's kinds.
        EditsKinds,
        /// A subject may take the place of an API.
        ReplacesAPI,
        /// A subject can reach into the pods of every node.
        ReachesNodes,
        /// A subject may write Nodes.
        WritesNodes,
        /// A subject can act as one of Kubernetes' own controllers.
        BecomesControlPlane,
        /// A subject reads Secrets of kube-system.
        ReadsKubeSystemSecrets,
        /// A subject may grant rights that they do not have.
        WidensRoles,
        /// A subject may make roles and bindings.
        WritesBindings,
        /// A binding waits for a role of certcourier's that is not there.
        DanglingBinding,
        /// A `ClusterRole` adds such a right to a role that many have.
        AggregatesRights,
        /// A subject may delete the record with its namespace.
        DeletesNamespaces,
        /// A subject edits policies and has rights under them.
        LoosensPolicies,
        /// A group that everyone is in has rights.
        EverybodyHolds,
        /// A role with every verb on Certificates.
        WildcardRole,
        /// Requests that are refused for lack of a deadline.
        UnattendedWithoutDeadline,
        /// A subject keeps Certificates and reads the Secrets that they name, as they must.
        KeepsCertificates,
    }
}
