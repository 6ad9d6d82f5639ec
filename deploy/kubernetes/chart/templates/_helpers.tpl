{{/* Parts of the templates that several of them use: labels, the image, security, and the seconds of a stop. */}}
{{- define "rbees.selector" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "The release name %q is no name of a Service: use a-z, 0-9 and -, with a letter first." .Release.Name) }}
{{- end -}}
app.kubernetes.io/name: {{ .Release.Name }}
{{- end }}

{{- define "rbees.labels" -}}
{{ include "rbees.selector" . }}
{{- end }}

{{- define "rbees.image" -}}
{{- $tag := .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (ternary "-cuda" "" .Values.gpu.enabled)) -}}
image: {{ printf "%s:%s" .Values.image.repository $tag | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{- define "rbees.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{- define "rbees.model" -}}
{{- if eq .Values.model.source "pull" }}{{ .Values.model.pull.name }}{{ else }}/models/{{ .Values.model.path }}{{ end }}
{{- end }}
