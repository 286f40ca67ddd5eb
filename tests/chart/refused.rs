//! Nonsense is refused before anything is made of it, by a message that names the value; the commonest mistakes by a
//! sentence that says what to write instead.

use super::helm::{Helm, LEAST, chart};

/// A value as it is typed, and what must be in the refusal of the schema.
const NONSENSE: [(&str, &str); 41] = [
    ("placement=daemonset", "placement"),
    ("replicas=0", "replicas"),
    ("replicas=two", "replicas"),
    ("replicaCount=3", "replicaCount"),
    ("scope=all", "scope"),
    ("admission.stamp=maybe", "stamp"),
    ("clusterPolicy.allowKeyExports=Always", "allowKeyExports"),
    ("clusterPolicy.allowKeyExport=Sometimes", "allowKeyExport"),
    ("clusterPolicy.approval.approvals=9", "approvals"),
    ("clusterPolicy.token.ttl=5min", "ttl"),
    ("tls.source=self-signed", "source"),
    ("tls.names={https://a}", "names"),
    ("image.digest=latest", "digest"),
    ("image.registry=https://registry.example.com", "registry"),
    ("audit.mode=stderr", "mode"),
    ("networkPolicy.apiServer.cidrs={10.0.0.1}", "cidrs"),
    ("server.extraArgs={listen}", "extraArgs"),
    ("podDisruptionBudget.maxUnavailable=100%", "maxUnavailable"),
    ("image=null", "missing property 'image'"),
    ("commonLabels=team", "commonLabels"),
    ("commonLabels.floor=4", "floor"),
    ("global.commonLabels.floor=4", "floor"),
    ("extraObjects[0]=7", "extraObjects"),
    ("extraEnv[0].value=x", "extraEnv"),
    ("extraEnv.HTTPS_PROXY=x", "extraEnv"),
    ("extraVolumes[0].emptyDir.medium=Memory", "extraVolumes"),
    ("hostAliases[0].ip=somewhere", "hostAliases"),
    ("livenessProbe.path=/healthz", "path"),
    ("readinessProbe.periodSeconds=0", "periodSeconds"),
    ("startupProbe.path=/readyz", "path"),
    ("podSecurityContext.runAsUsr=1", "runAsUsr"),
    ("containerSecurityContext.fsGroup=1", "fsGroup"),
    ("strategy.type=BlueGreen", "type"),
    ("revisionHistoryLimit=-1", "revisionHistoryLimit"),
    ("dnsPolicy=ClusterFirstWithHostNet", "dnsPolicy"),
    ("service.ipFamilies={IPv5}", "ipFamilies"),
    ("service.externalTrafficPolicy=Nearby", "externalTrafficPolicy"),
    ("service.loadBalancerSourceRanges={203.0.113.7}", "loadBalancerSourceRanges"),
    ("metrics.serviceMonitor.interval=often", "interval"),
    ("metrics.podMonitor.path=/metrics", "path"),
    ("metrics.dashboard.folder=Security", "folder"),
];

#[tokio::test]
async fn the_schema_refuses_nonsense_and_names_it() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    for (typed, named) in NONSENSE {
        let ended = helm.try_run(&["template", "certcourier", &chart, "--set", typed]).await;
        let said = ended.failed(1);
        assert!(said.contains("values don't meet") && said.contains(named), "{typed}: {said}");
    }
}

/// What is typed beside what every installation must say, and the sentence that comes of it.
const MISTAKES: [(&str, &str); 46] = [
    ("image.repository=", "image.repository is empty, and there is no public image"),
    ("image.repository=registry.example.com:5000/certcourier:v1", "holds a tag: write it into image.tag"),
    ("image.repository=certcourier@sha256:0", "holds a digest: write it into image.digest"),
    ("watchNamespaces=null", "watchNamespaces is empty: name the namespaces"),
    ("watchNamespaces=payments", "write --set watchNamespaces='{payments}'"),
    ("watchNamespaces={Payments}", "watchNamespaces: `Payments` is not a namespace's name"),
    ("watchNamespaces={a_b}", "watchNamespaces: `a_b` is not a namespace's name"),
    ("scope=cluster", "watchNamespaces names some (payments)"),
    ("externalURL=certs.example.com", "externalURL `certs.example.com` has no scheme: write https://certs.example.com"),
    ("externalURL=https://certs.example.com/?x=1", "without user, query or fragment"),
    ("externalURL=https://me@certs.example.com", "without user, query or fragment"),
    ("ingress.enabled=true", "ingress.enabled needs a host: set ingress.host, or set externalURL"),
    ("httpRoute.enabled=true", "name it in httpRoute.parentRefs"),
    ("httpRoute.enabled=true,httpRoute.parentRefs[0].name=public", "httpRoute.hostnames, or set externalURL"),
    ("tls.source=secret", "tls.secretName is empty"),
    ("tls.secretName=wildcard", "set tls.source to secret"),
    ("tls.source=cert-manager", "tls.certManager.issuerRef.name is empty"),
    ("tls.publishCA=true", "leave tls.publishCA out"),
    ("externalCA.configMap=other", "tls.source self-managed has a CA of its own"),
    ("audit.mode=required", "set audit.sink.url or audit.sink.urlSecret"),
    ("audit.sink.url=https://a,audit.sink.urlSecret=b", "both say where the sink is"),
    ("crds.keep=false", "would delete every DownloadReceipt"),
    ("server.replicas=3", "server.replicas is for placement separate"),
    ("service.nodePort=30443", "service.nodePort is for service.type NodePort or LoadBalancer"),
    ("service.externalTrafficPolicy=Local", "and the type is ClusterIP"),
    ("service.type=NodePort,service.loadBalancerClass=x", "is for service.type LoadBalancer, and the type is NodePort"),
    ("service.ipFamilies={IPv4,IPv6}", "set service.ipFamilyPolicy to PreferDualStack"),
    ("strategy.rollingUpdate.maxSurge=0", "no pod can be replaced"),
    ("dnsPolicy=None", "set dnsConfig.nameservers"),
    ("extraEnv[0].name=CERTCOURIER_AUDIT,extraEnv[0].value=off", "extraEnv: CERTCOURIER_AUDIT is the chart's own"),
    ("extraEnv[0].name=HTTPS_PROXY", "HTTPS_PROXY has neither value nor valueFrom"),
    ("extraVolumes[0].name=tls", "extraVolumes: tls is a volume of the chart's own"),
    ("extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=/etc/certcourier/tls", "choose another mountPath"),
    ("extraContainers[0].name=server,extraContainers[0].image=a", "is a container of the chart's own"),
    ("podSecurityContext.runAsNonRoot=false", "podSecurityContext.runAsNonRoot is false, which is weaker"),
    ("podSecurityContext.runAsUser=0", "podSecurityContext.runAsUser is 0, which is weaker"),
    ("containerSecurityContext.privileged=true", "say that you mean it with allowUnrestricted=true"),
    ("containerSecurityContext.capabilities.add={SYS_ADMIN}", "capabilities.add has SYS_ADMIN"),
    ("containerSecurityContext.capabilities.drop={NET_RAW}", "capabilities.drop lacks ALL"),
    ("podSecurityContext.seccompProfile.type=Unconfined", "seccompProfile.type is Unconfined"),
    ("podSecurityContext.sysctls[0].name=kernel.msgmax", "podSecurityContext.sysctls sets kernel.msgmax"),
    (r"commonLabels.app\.kubernetes\.io/name=x", "commonLabels: app.kubernetes.io/name is the chart's own"),
    (r"podLabels.certcourier\.io/token=x", "podLabels: certcourier.io/token is the chart's own"),
    (r"commonAnnotations.helm\.sh/hook=test", "commonAnnotations: helm.sh/hook is the chart's own"),
    ("metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true", "enable one of the two"),
    ("metrics.prometheusRule.runbookURL=docs/alerts.md", "`docs/alerts.md` is not a URL"),
];

#[tokio::test]
async fn a_sentence_says_what_cannot_work_and_what_to_write_instead() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    for (typed, sentence) in MISTAKES {
        let base = ["template", "certcourier", &chart];
        let ended = helm.try_run(&[&base[..], &LEAST, &["--set", typed]].concat()).await;
        let said = ended.failed(1);
        assert!(said.contains(sentence), "{typed}: {said}");
        assert!(!said.contains("don't meet"), "{typed}: the schema speaks first: {said}");
    }
}

#[tokio::test]
async fn all_that_is_missing_is_said_at_once() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    let ended = helm.try_run(&["template", "certcourier", &chart, "--set", "externalURL=certs"]).await;
    for part in ["3 values cannot work", "image.repository is empty", "watchNamespaces is empty", "has no scheme"] {
        assert!(ended.failed(1).contains(part), "{part}: {}", ended.stderr);
    }
}

#[tokio::test]
async fn what_only_the_templates_know_to_be_missing_is_named_by_them() {
    let (helm, chart) = (Helm::offline(), chart().display().to_string());
    for typed in ["ingress.enabled=true", "httpRoute.enabled=true,httpRoute.parentRefs[0].name=public"] {
        let base = ["template", "certcourier", &chart];
        let ended = helm.try_run(&[&base[..], &LEAST, &["--set", typed]].concat()).await;
        assert!(ended.failed(1).contains("set externalURL"), "{typed}: {}", ended.stderr);
    }
}

/// Said out loud, a weaker pod is what the chart makes.
#[tokio::test]
async fn what_is_weaker_than_restricted_is_made_when_it_is_meant() {
    let weaker = ["--set", "podSecurityContext.runAsNonRoot=false,allowUnrestricted=true"];
    let text = Helm::offline().template("certs", &[&LEAST[..], &weaker].concat()).await;
    assert!(text.contains("runAsNonRoot: false"));
}
