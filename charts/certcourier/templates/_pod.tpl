{{- /* The two containers and the pod around them; deployment.yaml puts them together. */}}
{{- define "certcourier.containerSecurity" -}}
{{- $own := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) }}
{{- mergeOverwrite $own (deepCopy (.Values.containerSecurityContext | default dict)) | toYaml }}
{{- end }}

{{- define "certcourier.podSecurity" -}}
{{- $own := dict "runAsNonRoot" true "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- with .Values.runAsUser }}
{{- range $field := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- $_ := set $own $field (int64 $.Values.runAsUser) }}
{{- end }}
{{- end }}
{{- $given := deepCopy (.Values.podSecurityContext | default dict) }}
{{- range $field := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- if hasKey $given $field }}{{ $_ := set $given $field (get $given $field | int64) }}{{ end }}
{{- end }}
{{- mergeOverwrite $own $given | toYaml }}
{{- end }}

{{- define "certcourier.commonArgs" -}}
{{- with include "certcourier.namespaces" . }}
- {{ printf "--watch-namespaces=%s" . | quote }}
{{- end }}
{{- if .Values.clusterPolicy }}
- --cluster-policy=/etc/certcourier/policy/policy.yaml
{{- end }}
{{- with .Values.externalURL }}
- {{ printf "--external-url=%s" . | quote }}
{{- end }}
{{- with .Values.maxOpenRequests }}
- --max-open-requests={{ int . }}
{{- end }}
- --log-format={{ .Values.logs.format }}
- {{ printf "--log=%s" .Values.logs.filter | quote }}
{{- end }}

{{- define "certcourier.commonEnv" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- with .Values.clusterName }}
- name: CERTCOURIER_CLUSTER_NAME
  value: {{ . | quote }}
{{- end }}
- name: CERTCOURIER_AUDIT
  value: {{ .Values.audit.mode | quote }}
{{- if include "certcourier.auditSink" . }}
- name: CERTCOURIER_AUDIT_SINK
  {{- if .Values.audit.sink.urlSecret }}
  valueFrom: {secretKeyRef: {name: {{ .Values.audit.sink.urlSecret | quote }}, key: url}}
  {{- else }}
  value: {{ .Values.audit.sink.url | quote }}
  {{- end }}
{{- if .Values.audit.sink.headersSecret }}
- name: CERTCOURIER_AUDIT_SINK_HEADERS
  value: /etc/certcourier/audit-headers/headers
{{- end }}
{{- if .Values.audit.sink.caConfigMap }}
- name: CERTCOURIER_AUDIT_SINK_CA
  value: /etc/certcourier/audit-ca/ca.crt
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "certcourier.auditSink" -}}
{{- if or .Values.audit.sink.url .Values.audit.sink.urlSecret -}}true{{- end }}
{{- end }}

{{- /* Takes a list: the root, and the name of the port. */}}
{{- define "certcourier.probes" -}}
{{- $values := (first .).Values -}}
{{- /* It waits for the program to be ready, so that the others begin only then. */ -}}
startupProbe:
  httpGet: {path: /startupz, port: {{ last . }}}
  {{- toYaml $values.startupProbe | nindent 2 }}
livenessProbe:
  httpGet: {path: /healthz, port: {{ last . }}}
  {{- toYaml $values.livenessProbe | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: {{ last . }}}
  {{- toYaml $values.readinessProbe | nindent 2 }}
{{- end }}

{{- define "certcourier.commonMounts" -}}
- name: service-account
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- if .Values.clusterPolicy }}
- name: policy
  mountPath: /etc/certcourier/policy
  readOnly: true
{{- end }}
{{- if include "certcourier.auditSink" . }}
{{- if .Values.audit.sink.headersSecret }}
- name: audit-headers
  mountPath: /etc/certcourier/audit-headers
  readOnly: true
{{- end }}
{{- if .Values.audit.sink.caConfigMap }}
- name: audit-ca
  mountPath: /etc/certcourier/audit-ca
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{- toYaml . | nindent 0 }}
{{- end }}
{{- end }}

{{- define "certcourier.controllerContainer" -}}
- name: controller
  image: {{ include "certcourier.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - controller
    {{- include "certcourier.commonArgs" . | trim | nindent 4 }}
    - --metrics-address={{ .Values.bindAddress }}:8081
    {{- if ne (include "certcourier.controllerUser" .) (include "certcourier.serverUser" .) }}
    - --server-user={{ include "certcourier.serverUser" . }}
    {{- end }}
    {{- if include "certcourier.caConfigMap" . }}
    - --external-ca-config-map={{ include "certcourier.caConfigMap" . }}
    {{- else if .Values.tls.publishCA }}
    - --external-ca=/etc/certcourier/ca/ca.crt
    {{- end }}
    {{- with .Values.controller.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    {{- include "certcourier.commonEnv" . | nindent 4 }}
  ports:
    - {name: controller-http, containerPort: 8081, protocol: TCP}
  {{- include "certcourier.probes" (list . "controller-http") | nindent 2 }}
  resources:
    {{- toYaml .Values.controller.resources | nindent 4 }}
  securityContext:
    {{- include "certcourier.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "certcourier.commonMounts" . | nindent 4 }}
    {{- if and .Values.tls.publishCA (not (include "certcourier.caConfigMap" .)) }}
    - name: ca
      mountPath: /etc/certcourier/ca
      readOnly: true
    {{- end }}
{{- end }}

{{- define "certcourier.serverContainer" -}}
- name: server
  image: {{ include "certcourier.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  args:
    - server
    {{- include "certcourier.commonArgs" . | trim | nindent 4 }}
    - --listen={{ .Values.bindAddress }}:8443
    - --metrics-address={{ .Values.bindAddress }}:8082
    - --drain={{ .Values.server.drainSeconds }}s
    {{- if ne (include "certcourier.controllerUser" .) (include "certcourier.serverUser" .) }}
    - --controller-user={{ include "certcourier.controllerUser" . }}
    {{- end }}
    {{- if eq .Values.tls.source "self-managed" }}
    - --tls-self-signed={{ include "certcourier.servingNames" . }}
    - --tls-self-signed-lifetime={{ .Values.tls.lifetime }}
    {{- else if eq .Values.tls.source "none" }}
    - --insecure-http
    {{- else }}
    - --tls-cert=/etc/certcourier/tls/tls.crt
    - --tls-key=/etc/certcourier/tls/tls.key
    {{- end }}
    {{- if not .Values.ui.enabled }}
    - --ui=false
    {{- else if .Values.ui.oidc.issuer }}
    - --oidc-issuer={{ .Values.ui.oidc.issuer }}
    - --oidc-client-id={{ .Values.ui.oidc.clientID }}
    - --oidc-scopes={{ join "," .Values.ui.oidc.scopes }}
    {{- if .Values.ui.oidc.clientSecret }}
    - --oidc-client-secret-file=/etc/certcourier/oidc/secret
    {{- end }}
    {{- if .Values.ui.oidc.caConfigMap }}
    - --oidc-ca-file=/etc/certcourier/oidc-ca/ca.crt
    {{- end }}
    {{- end }}
    {{- with .Values.server.trustedProxies }}
    - --trusted-proxies={{ join "," . }}
    - --client-address-header={{ $.Values.server.clientAddressHeader }}
    {{- end }}
    {{- with .Values.server.extraArgs }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  env:
    {{- include "certcourier.commonEnv" . | nindent 4 }}
  ports:
    - {name: api, containerPort: 8443, protocol: TCP}
    - {name: server-http, containerPort: 8082, protocol: TCP}
  {{- include "certcourier.probes" (list . "server-http") | nindent 2 }}
  lifecycle:
    # Wait until no more new connections are sent to this pod.
    preStop: {sleep: {seconds: 5}}
  resources:
    {{- toYaml .Values.server.resources | nindent 4 }}
  securityContext:
    {{- include "certcourier.containerSecurity" . | nindent 4 }}
  volumeMounts:
    {{- include "certcourier.commonMounts" . | nindent 4 }}
    {{- if include "certcourier.servingSecret" . }}
    - name: tls
      mountPath: /etc/certcourier/tls
      readOnly: true
    {{- end }}
    {{- if and .Values.ui.enabled .Values.ui.oidc.issuer .Values.ui.oidc.clientSecret }}
    - name: oidc
      mountPath: /etc/certcourier/oidc
      readOnly: true
    {{- end }}
    {{- if and .Values.ui.enabled .Values.ui.oidc.issuer .Values.ui.oidc.caConfigMap }}
    - name: oidc-ca
      mountPath: /etc/certcourier/oidc-ca
      readOnly: true
    {{- end }}
{{- end }}

{{- /* Takes a dict: root, component, account, controller (bool), server (bool). */}}
{{- define "certcourier.podTemplate" -}}
{{- $values := .root.Values -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: {{ ternary "server" "controller" .server }}
    {{- if $values.clusterPolicy }}
    # The programs read the policy when they start.
    checksum/cluster-policy: {{ toJson $values.clusterPolicy | sha256sum }}
    {{- end }}
    {{- with $values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "certcourier.labelsWith" (list .root $values.podLabels) | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  serviceAccountName: {{ .account | quote }}
  # A token of its own with a short life is mounted below.
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add $values.server.drainSeconds 25 }}
  securityContext:
    {{- include "certcourier.podSecurity" .root | nindent 4 }}
  {{- if kindIs "bool" $values.hostUsers }}
  hostUsers: {{ $values.hostUsers }}
  {{- end }}
  {{- with $values.runtimeClassName }}
  runtimeClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.dnsPolicy }}
  dnsPolicy: {{ . }}
  {{- end }}
  {{- with $values.dnsConfig }}
  dnsConfig:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.hostAliases }}
  hostAliases:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "certcourier.imagePullSecrets" .root }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with $values.priorityClassName | default (($values.global | default dict).priorityClassName) }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  {{- with $values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $values.topologySpread.enabled }}
  topologySpreadConstraints:
    {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ . }}
      whenUnsatisfiable: {{ $values.topologySpread.whenUnsatisfiable }}
      matchLabelKeys: [pod-template-hash]
      labelSelector:
        matchLabels:
          {{- include "certcourier.selectorLabels" $.root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
    {{- end }}
  {{- end }}
  containers:
    {{- if .controller }}
    {{- include "certcourier.controllerContainer" .root | nindent 4 }}
    {{- end }}
    {{- if .server }}
    {{- include "certcourier.serverContainer" .root | nindent 4 }}
    {{- end }}
    {{- with $values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: service-account
      projected:
        defaultMode: 0440
        sources:
          - serviceAccountToken: {path: token, expirationSeconds: 3607}
          - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
          - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
    {{- if $values.clusterPolicy }}
    - name: policy
      configMap: {name: "{{ include "certcourier.fullname" .root }}-policy"}
    {{- end }}
    {{- with include "certcourier.servingSecret" .root }}
    {{- if $.server }}
    - name: tls
      secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
    {{- end }}
    {{- if and $.controller $values.tls.publishCA (not (include "certcourier.caConfigMap" $.root)) }}
    - name: ca
      secret: {secretName: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
    {{- end }}
    {{- if include "certcourier.auditSink" .root }}
    {{- with $values.audit.sink.headersSecret }}
    - name: audit-headers
      secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: headers, path: headers}]}
    {{- end }}
    {{- with $values.audit.sink.caConfigMap }}
    - name: audit-ca
      configMap: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
    {{- end }}
    {{- if and .server $values.ui.enabled $values.ui.oidc.issuer }}
    {{- with $values.ui.oidc.clientSecret }}
    - name: oidc
      secret: {secretName: {{ . | quote }}, defaultMode: 0440, items: [{key: secret, path: secret}]}
    {{- end }}
    {{- with $values.ui.oidc.caConfigMap }}
    - name: oidc-ca
      configMap: {name: {{ . | quote }}, items: [{key: ca.crt, path: ca.crt}]}
    {{- end }}
    {{- end }}
    {{- with $values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
