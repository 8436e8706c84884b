{{/* The labels that select the pods of a release. */}}
{{- define "web.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The adapter's part of a container: its variables, ports, readiness and liveness. */}}
{{- define "web.adapter.env" -}}
- name: ADAPTER_LISTEN
  value: 0.0.0.0:8000
- name: ADAPTER_ADMIN
  value: 0.0.0.0:8001
- name: ADAPTER_BANDWIDTH
  value: {{ .Values.adapter.bandwidth | quote }}
- name: ADAPTER_GRACE
  value: {{ .Values.adapter.grace | quote }}
{{- with .Values.adapter.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "web.adapter.ports" -}}
ports:
  - name: http
    containerPort: 8000
  - name: admin
    containerPort: 8001
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: 5
livenessProbe:
  httpGet:
    path: /healthz
    port: admin
{{- end }}

{{- define "web.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop: ["ALL"]
{{- end }}
