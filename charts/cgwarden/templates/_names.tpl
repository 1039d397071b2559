{{- define "cgwarden.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "cgwarden.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "cgwarden.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "cgwarden.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* A DaemonSet's selector can never be changed: only what will never change may stand in it. */}}
{{- define "cgwarden.selector" -}}
app.kubernetes.io/name: {{ include "cgwarden.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cgwarden.labels" -}}
{{ include "cgwarden.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: cgwarden
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "cgwarden.serviceAccountName" -}}
{{- default (include "cgwarden.fullname" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "cgwarden.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end }}

{{/* The names under which this daemon may be asked; anything else could be a rebound DNS name. */}}
{{- define "cgwarden.allowedHosts" -}}
{{- $service := include "cgwarden.fullname" . -}}
{{- $own := list "localhost" "127.0.0.1" "$(POD_IP)" $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) -}}
{{- concat $own .Values.web.allowedHosts | join "," -}}
{{- end }}
