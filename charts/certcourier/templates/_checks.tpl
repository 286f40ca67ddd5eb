{{- /* What the schema cannot say in words that help: mistakes that are common, and values that contradict each other.
One sentence each; checks.yaml says all of them at once. */}}
{{- define "certcourier.problems" -}}
{{- $v := .Values }}
{{- $found := list }}

{{- /* What every installation needs. */}}
{{- $repository := $v.image.repository }}
{{- if not $repository }}
{{- $found = append $found "image.repository is empty, and there is no public image: build one from the Dockerfile of the repository, and add --set image.repository=registry.example.com/certcourier" }}
{{- else if contains "@" $repository }}
{{- $found = append $found (printf "image.repository `%s` holds a digest: write it into image.digest" $repository) }}
{{- else if contains ":" (splitList "/" $repository | last) }}
{{- $found = append $found (printf "image.repository `%s` holds a tag: write it into image.tag" $repository) }}
{{- end }}
{{- $watched := $v.watchNamespaces }}
{{- if kindIs "string" $watched }}
{{- $found = append $found (printf "watchNamespaces `%s` is not a list: write --set watchNamespaces='{%s}'" $watched ($watched | default "payments,web")) }}
{{- $watched = list }}
{{- else if and (eq $v.scope "namespaces") (not $watched) }}
{{- $found = append $found "watchNamespaces is empty: name the namespaces whose certificates people may download, as in --set watchNamespaces='{payments,web}', or serve all with --set scope=cluster" }}
{{- end }}
{{- if and (eq $v.scope "cluster") $watched }}
{{- $found = append $found (printf "scope is cluster, which serves all namespaces, and watchNamespaces names some (%s): leave one of the two out" (join ", " $watched)) }}
{{- end }}
{{- range $watched }}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" .) }}
{{- $found = append $found (printf "watchNamespaces: `%s` is not a namespace's name: only lower-case letters, digits and hyphens are" .) }}
{{- end }}
{{- end }}
{{- /* Where helm has no cluster to ask (`helm template`, Argo CD), every namespace is believed. */}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}
{{- range $watched }}
{{- if not (lookup "v1" "Namespace" "" .) }}
{{- $found = append $found (printf "watchNamespaces: there is no namespace `%s`: create it first, kubectl create namespace %s" . .) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Where people reach the server. */}}
{{- with $v.externalURL }}
{{- if not (regexMatch "^https?://" .) }}
{{- $found = append $found (printf "externalURL `%s` has no scheme: write https://%s" . (regexReplaceAll "^[^/]*//" . "")) }}
{{- else if not (regexMatch "^https?://[^/?#\\s@]+(/[^?#\\s]*)?$" .) }}
{{- $found = append $found (printf "externalURL `%s` is not an address that links can begin with: write scheme, host and perhaps a path, such as https://certs.example.com, without user, query or fragment" .) }}
{{- end }}
{{- end }}
{{- if and $v.ingress.enabled (not $v.ingress.host) (not $v.externalURL) }}
{{- $found = append $found "ingress.enabled needs a host: set ingress.host, or set externalURL" }}
{{- end }}
{{- if $v.httpRoute.enabled }}
{{- if not $v.httpRoute.parentRefs }}
{{- $found = append $found "httpRoute.enabled needs a Gateway: name it in httpRoute.parentRefs, as in --set httpRoute.parentRefs[0].name=public" }}
{{- end }}
{{- if and (not $v.httpRoute.hostnames) (not $v.externalURL) }}
{{- $found = append $found "httpRoute.enabled needs a host: set httpRoute.hostnames, or set externalURL" }}
{{- end }}
{{- end }}
{{- $service := $v.service }}
{{- if eq $service.type "ClusterIP" }}
{{- range $name := list "nodePort" "externalTrafficPolicy" }}
{{- if get $service $name }}
{{- $found = append $found (printf "service.%s is for service.type NodePort or LoadBalancer, and the type is ClusterIP" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne $service.type "LoadBalancer" }}
{{- range $name := list "loadBalancerClass" "loadBalancerSourceRanges" }}
{{- if get $service $name }}
{{- $found = append $found (printf "service.%s is for service.type LoadBalancer, and the type is %s" $name $service.type) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (gt (len ($service.ipFamilies | default list)) 1) (has ($service.ipFamilyPolicy | default "") (list "" "SingleStack")) }}
{{- $found = append $found "service.ipFamilies names two families: set service.ipFamilyPolicy to PreferDualStack or RequireDualStack" }}
{{- end }}

{{- /* The serving certificate. */}}
{{- $source := $v.tls.source }}
{{- if and (eq $source "secret") (not $v.tls.secretName) }}
{{- $found = append $found "tls.source is secret, and tls.secretName is empty: name the Secret with the serving certificate, or choose another source" }}
{{- end }}
{{- if and (ne $source "secret") $v.tls.secretName }}
{{- $found = append $found (printf "tls.secretName is `%s`, and tls.source is %s, which does not read it: set tls.source to secret, or leave the name out" $v.tls.secretName $source) }}
{{- end }}
{{- if and (eq $source "cert-manager") (not $v.tls.certManager.issuerRef.name) }}
{{- $found = append $found "tls.source is cert-manager, and tls.certManager.issuerRef.name is empty: name the issuer, or choose another source" }}
{{- end }}
{{- if and $v.tls.publishCA (has $source (list "self-managed" "none")) }}
{{- $found = append $found (printf "tls.publishCA is for tls.source secret and cert-manager, and the source is %s%s" $source (ternary ", which publishes its CA anyway: leave tls.publishCA out" ": leave tls.publishCA out" (eq $source "self-managed"))) }}
{{- end }}
{{- if and (eq $source "self-managed") $v.externalCA.configMap }}
{{- $found = append $found "externalCA.configMap is for a certificate that others issue, and tls.source self-managed has a CA of its own: leave one of the two out" }}
{{- end }}

{{- /* The web page. */}}
{{- $oidc := $v.ui.oidc }}
{{- if and $oidc.issuer (not $v.ui.enabled) }}
{{- $found = append $found "ui.oidc.issuer is for the web page, and ui.enabled is false: leave one of the two out" }}
{{- end }}
{{- if and $oidc.issuer (not $oidc.clientID) }}
{{- $found = append $found "ui.oidc.issuer needs ui.oidc.clientID, the audience that the API server accepts" }}
{{- end }}
{{- if and $oidc.issuer (not $v.externalURL) }}
{{- $found = append $found "ui.oidc.issuer needs externalURL, because the issuer leads people back there" }}
{{- end }}
{{- if and (not $oidc.issuer) (or $oidc.clientID $oidc.clientSecret $oidc.caConfigMap) }}
{{- $found = append $found "ui.oidc has a client and no issuer: set ui.oidc.issuer, or leave the rest out" }}
{{- end }}

{{- /* The record. */}}
{{- if and (eq $v.audit.mode "required") (not $v.audit.sink.url) (not $v.audit.sink.urlSecret) }}
{{- $found = append $found "audit.mode required needs a sink that accepts each line: set audit.sink.url or audit.sink.urlSecret" }}
{{- end }}
{{- if and $v.audit.sink.url $v.audit.sink.urlSecret }}
{{- $found = append $found "audit.sink.url and audit.sink.urlSecret both say where the sink is: leave one of the two out" }}
{{- end }}

{{- /* The kinds. */}}
{{- if not $v.crds.keep }}
{{- $found = append $found "crds.keep=false is refused: uninstalling would delete every DownloadReceipt, which is the record. To remove the kinds, delete them yourself after `helm uninstall`" }}
{{- end }}

{{- /* Pods. */}}
{{- if eq $v.placement "sidecar" }}
{{- range $program := list "controller" "server" }}
{{- if (get $v $program).replicas }}
{{- $found = append $found (printf "%s.replicas is for placement separate, and the placement is sidecar, where both programs share a pod: set replicas" $program) }}
{{- end }}
{{- end }}
{{- end }}
{{- $rolling := $v.strategy.rollingUpdate | default dict }}
{{- if and (eq $v.strategy.type "RollingUpdate") (has (toString $rolling.maxUnavailable) (list "0" "0%")) (has (toString $rolling.maxSurge) (list "0" "0%")) }}
{{- $found = append $found "strategy.rollingUpdate allows neither a pod less (maxUnavailable) nor a pod more (maxSurge), so no pod can be replaced: raise one of the two" }}
{{- end }}
{{- if and (eq $v.dnsPolicy "None") (not ($v.dnsConfig | default dict).nameservers) }}
{{- $found = append $found "dnsPolicy None needs name servers: set dnsConfig.nameservers" }}
{{- end }}
{{- range $v.extraEnv }}
{{- if has .name (list "POD_NAME" "POD_NAMESPACE" "CERTCOURIER_CLUSTER_NAME" "CERTCOURIER_AUDIT" "CERTCOURIER_AUDIT_SINK" "CERTCOURIER_AUDIT_SINK_HEADERS" "CERTCOURIER_AUDIT_SINK_CA") }}
{{- $found = append $found (printf "extraEnv: %s is the chart's own: use the value for it (clusterName, audit.*)" .name) }}
{{- end }}
{{- if not (or (hasKey . "value") (hasKey . "valueFrom")) }}
{{- $found = append $found (printf "extraEnv: %s has neither value nor valueFrom" .name) }}
{{- end }}
{{- end }}
{{- range $v.extraVolumes }}
{{- if has .name (list "service-account" "policy" "tls" "ca" "audit-headers" "audit-ca") }}
{{- $found = append $found (printf "extraVolumes: %s is a volume of the chart's own: choose another name" .name) }}
{{- end }}
{{- end }}
{{- range $v.extraVolumeMounts }}
{{- if regexMatch "^(/etc/certcourier|/var/run/secrets/kubernetes.io)(/|$)" .mountPath }}
{{- $found = append $found (printf "extraVolumeMounts: %s is where the chart's own files are: choose another mountPath" .mountPath) }}
{{- end }}
{{- end }}
{{- range $v.extraContainers }}
{{- if has .name (list "controller" "server") }}
{{- $found = append $found (printf "extraContainers: %s is a container of the chart's own: choose another name" .name) }}
{{- end }}
{{- end }}
{{- if not $v.allowUnrestricted }}
{{- range include "certcourier.weaker" . | fromYamlArray }}
{{- $found = append $found (printf "%s, which is weaker than Pod Security's level restricted: leave it out, or say that you mean it with allowUnrestricted=true" .) }}
{{- end }}
{{- end }}

{{- /* Labels and annotations that would replace the chart's own. */}}
{{- $reserved := "^(app\\.kubernetes\\.io/(name|instance|version|managed-by|component)$|helm\\.sh/|([a-z0-9.-]+\\.)?certcourier\\.io/|velero\\.io/exclude-from-backup$)" }}
{{- $given := dict "commonLabels" $v.commonLabels "global.commonLabels" (($v.global | default dict).commonLabels) "podLabels" $v.podLabels "service.labels" $service.labels "commonAnnotations" $v.commonAnnotations }}
{{- range $name := keys $given | sortAlpha }}
{{- range $key, $_ := get $given $name | default dict }}
{{- if regexMatch $reserved $key }}
{{- $found = append $found (printf "%s: %s is the chart's own: choose another key" $name $key) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Monitoring. */}}
{{- if and $v.metrics.serviceMonitor.enabled $v.metrics.podMonitor.enabled }}
{{- $found = append $found "metrics.serviceMonitor and metrics.podMonitor would both scrape the same pods, and count everything twice: enable one of the two" }}
{{- end }}
{{- with $v.metrics.prometheusRule.runbookURL }}
{{- if not (regexMatch "^https?://[^/\\s#]+[^\\s#]*$" .) }}
{{- $found = append $found (printf "metrics.prometheusRule.runbookURL `%s` is not a URL: write one that begins with https:// and has no #fragment" .) }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}

{{- /* In what the two security contexts are weaker than `restricted`: a list of texts. */}}
{{- define "certcourier.weaker" -}}
{{- $found := list }}
{{- $profiles := list "RuntimeDefault" "Localhost" }}
{{- range $name := list "podSecurityContext" "containerSecurityContext" }}
{{- $context := get $.Values $name | default dict }}
{{- if and (hasKey $context "runAsNonRoot") (not $context.runAsNonRoot) }}
{{- $found = append $found (printf "%s.runAsNonRoot is false" $name) }}
{{- end }}
{{- if and (hasKey $context "runAsUser") (eq (toString $context.runAsUser) "0") }}
{{- $found = append $found (printf "%s.runAsUser is 0" $name) }}
{{- end }}
{{- range $field := list "seccompProfile" "appArmorProfile" }}
{{- with get $context $field }}
{{- if not (has (get . "type") $profiles) }}
{{- $found = append $found (printf "%s.%s.type is %v" $name $field (get . "type")) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $context.windowsOptions }}
{{- if .hostProcess }}
{{- $found = append $found (printf "%s.windowsOptions.hostProcess is true" $name) }}
{{- end }}
{{- end }}
{{- with $context.seLinuxOptions }}
{{- if or .user .role (not (has (.type | default "") (list "" "container_t" "container_init_t" "container_kvm_t" "container_engine_t"))) }}
{{- $found = append $found (printf "%s.seLinuxOptions sets a user, a role, or a type that is not a container's" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- range (.Values.podSecurityContext | default dict).sysctls }}
{{- if not (has .name (list "kernel.shm_rmid_forced" "net.ipv4.ip_local_port_range" "net.ipv4.ip_unprivileged_port_start" "net.ipv4.tcp_syncookies" "net.ipv4.ping_group_range" "net.ipv4.ip_local_reserved_ports" "net.ipv4.tcp_keepalive_time" "net.ipv4.tcp_fin_timeout" "net.ipv4.tcp_keepalive_intvl" "net.ipv4.tcp_keepalive_probes" "net.ipv4.tcp_rmem" "net.ipv4.tcp_wmem")) }}
{{- $found = append $found (printf "podSecurityContext.sysctls sets %v" .name) }}
{{- end }}
{{- end }}
{{- $container := .Values.containerSecurityContext | default dict }}
{{- range $field := list "allowPrivilegeEscalation" "privileged" }}
{{- if get $container $field }}
{{- $found = append $found (printf "containerSecurityContext.%s is true" $field) }}
{{- end }}
{{- end }}
{{- if not (has ($container.procMount | default "Default") (list "Default")) }}
{{- $found = append $found (printf "containerSecurityContext.procMount is %s" $container.procMount) }}
{{- end }}
{{- with $container.capabilities }}
{{- if and (hasKey . "drop") (not (has "ALL" .drop)) }}
{{- $found = append $found "containerSecurityContext.capabilities.drop lacks ALL" }}
{{- end }}
{{- range .add }}
{{- if ne . "NET_BIND_SERVICE" }}
{{- $found = append $found (printf "containerSecurityContext.capabilities.add has %s" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $found }}
{{- end }}
