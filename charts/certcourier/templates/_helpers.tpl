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
{{ .Values.watchNamespaces | default (list .Release.Namespace) | uniq | join "," }}
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
{{ include "certcourier.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- /* The component whose pods hold the server. */}}
{{- define "certcourier.serverComponent" -}}
{{ if include "certcourier.sidecar" . }}operator{{ else }}server{{ end }}
{{- end }}

{{- define "certcourier.externalHost" -}}
{{- if .Values.externalURL }}{{ (urlParse .Values.externalURL).hostname }}{{ end }}
{{- end }}

{{- /* DNS names and addresses of the serving certificate, separated by commas. */}}
{{- define "certcourier.servingNames" -}}
{{- $name := include "certcourier.fullname" . -}}
{{- $service := printf "%s.%s" $name .Release.Namespace -}}
{{- $names := list $name $service (printf "%s.svc" $service) (printf "%s.svc.%s" $service .Values.tls.clusterDomain) "localhost" "127.0.0.1" -}}
{{- concat $names (list (include "certcourier.externalHost" .)) .Values.tls.names | compact | uniq | join "," }}
{{- end }}

{{- /* Name of the ConfigMap that the controller reads the CA from; empty if it reads none. */}}
{{- define "certcourier.caConfigMap" -}}
{{- if eq .Values.tls.source "self-managed" -}}certcourier-serving-ca{{- else -}}{{ .Values.externalCA.configMap }}{{- end }}
{{- end }}

{{- /* Name of the Secret that is mounted into the server; empty if none is. */}}
{{- define "certcourier.servingSecret" -}}
{{- if eq .Values.tls.source "secret" -}}
{{ required "tls.secretName: name the Secret with the serving certificate, or choose another tls.source" .Values.tls.secretName }}
{{- else if eq .Values.tls.source "cert-manager" -}}
{{ include "certcourier.fullname" . }}-tls
{{- end }}
{{- end }}

{{- define "certcourier.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}{{- else -}}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{- end }}
{{- end }}
