{{- /* Who the operator is. The admission policies name these users, and both programs compare. */}}
{{- define "certcourier.fullname" -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "certcourier.sidecar" -}}
{{ if eq .Values.placement "sidecar" }}true{{ end }}
{{- end }}

{{- define "certcourier.controllerAccount" -}}
{{- if include "certcourier.sidecar" . -}}
{{ .Values.serviceAccount.name | default (include "certcourier.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.controllerName | default (printf "%s-controller" (include "certcourier.fullname" .)) }}
{{- end }}
{{- end }}

{{- define "certcourier.serverAccount" -}}
{{- if include "certcourier.sidecar" . -}}
{{ include "certcourier.controllerAccount" . }}
{{- else -}}
{{ .Values.serviceAccount.serverName | default (printf "%s-server" (include "certcourier.fullname" .)) }}
{{- end }}
{{- end }}

{{- define "certcourier.controllerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "certcourier.controllerAccount" . }}
{{- end }}

{{- define "certcourier.serverUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "certcourier.serverAccount" . }}
{{- end }}

{{- /* Both, or the one that they share, as a list in CEL has them. */}}
{{- define "certcourier.users" -}}
'{{ include "certcourier.controllerUser" . }}'
{{- if ne (include "certcourier.controllerUser" .) (include "certcourier.serverUser" .) }}, '{{ include "certcourier.serverUser" . }}'{{ end }}
{{- end }}

{{- define "certcourier.subjects" -}}
- kind: ServiceAccount
  name: {{ include "certcourier.controllerAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- if ne (include "certcourier.controllerAccount" .) (include "certcourier.serverAccount" .) }}
- kind: ServiceAccount
  name: {{ include "certcourier.serverAccount" . | quote }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}
{{- end }}

{{- /* The namespaces that are watched, separated by commas; empty with scope cluster. */}}
{{- define "certcourier.namespaces" -}}
{{- if eq .Values.scope "namespaces" -}}
{{- /* A text instead of a list is refused by checks.yaml; here it must not be what helm stumbles over. */ -}}
{{- if kindIs "slice" .Values.watchNamespaces }}{{ .Values.watchNamespaces | uniq | join "," }}{{ end }}
{{- end }}
{{- end }}

{{- define "certcourier.stamp" -}}
{{- if eq .Values.admission.stamp "auto" -}}
{{- /* Without a cluster helm knows no kinds, only a version. */ -}}
{{- $kinds := .Capabilities.APIVersions.Has "apps/v1/Deployment" -}}
{{- $served := .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" -}}
{{ and (semverCompare ">=1.36.0-0" .Capabilities.KubeVersion.Version) (or $served (not $kinds)) }}
{{- else -}}
{{ eq .Values.admission.stamp "always" }}
{{- end }}
{{- end }}

{{- define "certcourier.selectorLabels" -}}
app.kubernetes.io/name: certcourier
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "certcourier.labels" -}}
{{ include "certcourier.labelsWith" (list . dict) }}
{{- end }}

{{- /* Takes a list: the root, and labels of this object, which win over common ones. The chart's own win over all. */}}
{{- define "certcourier.labelsWith" -}}
{{- $root := first . }}
{{- $own := include "certcourier.selectorLabels" $root | fromYaml }}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_") }}
{{- $global := ($root.Values.global | default dict).commonLabels | default dict }}
{{- merge $own (last . | default dict) ($root.Values.commonLabels | default dict) $global | toYaml }}
{{- end }}

{{- define "certcourier.annotations" -}}
{{- with .Values.commonAnnotations }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* Takes a list: the root, and annotations of this object, which win over common ones. Nothing where there are none. */}}
{{- define "certcourier.annotationsField" -}}
{{- with merge dict (last . | default dict) ((first .).Values.commonAnnotations | default dict) -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Of the chart and of the chart that it is a part of, names as objects. */}}
{{- define "certcourier.imagePullSecrets" -}}
{{- $all := list }}
{{- range concat (($.Values.global | default dict).imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
{{- $all = append $all (kindIs "string" . | ternary (dict "name" .) .) }}
{{- end }}
{{- with uniq $all }}{{ toYaml . }}{{ end }}
{{- end }}

{{- /* The component whose pods hold the server. */}}
{{- define "certcourier.serverComponent" -}}
{{ if include "certcourier.sidecar" . }}operator{{ else }}server{{ end }}
{{- end }}

{{- define "certcourier.externalHost" -}}
{{- /* Anything else is refused by checks.yaml. */ -}}
{{- if regexMatch "^https?://[^/?#\\s@]+(/[^?#\\s]*)?$" (.Values.externalURL | default "") }}{{ (urlParse .Values.externalURL).hostname }}{{ end }}
{{- end }}

{{- /* DNS names and addresses of the serving certificate, separated by commas. */}}
{{- define "certcourier.servingNames" -}}
{{- $name := include "certcourier.fullname" . -}}
{{- $service := printf "%s.%s" $name .Release.Namespace -}}
{{- $names := list $name $service (printf "%s.svc" $service) (printf "%s.svc.%s" $service .Values.tls.clusterDomain) "localhost" "127.0.0.1" -}}
{{- concat $names (list (include "certcourier.externalHost" .)) (.Values.tls.names | default list) | compact | uniq | join "," }}
{{- end }}

{{- /* Name of the ConfigMap that the controller reads the CA from; empty if it reads none. */}}
{{- define "certcourier.caConfigMap" -}}
{{- if eq .Values.tls.source "self-managed" -}}certcourier-serving-ca{{- else -}}{{ .Values.externalCA.configMap }}{{- end }}
{{- end }}

{{- /* Name of the Secret that is mounted into the server; empty if none is. */}}
{{- define "certcourier.servingSecret" -}}
{{- if eq .Values.tls.source "secret" -}}
{{ .Values.tls.secretName }}
{{- else if eq .Values.tls.source "cert-manager" -}}
{{ include "certcourier.fullname" . }}-tls
{{- end }}
{{- end }}

{{- define "certcourier.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* What a ServiceMonitor and a PodMonitor say alike; takes the values of one. */}}
{{- define "certcourier.endpoints" -}}
{{- range $port := list "controller-http" "server-http" }}
- port: {{ $port }}
  path: /metrics
  interval: {{ $.interval }}
  {{- with $.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  {{- if $.honorLabels }}
  honorLabels: true
  {{- end }}
  {{- with $.relabelings }}
  relabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
