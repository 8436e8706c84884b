"""The request headers that a server or framework trusts because it assumes that its peer is a proxy.

The app's peer is always the adapter, on loopback, so clients must not be able to send these headers through the
adapter. Names are in lower case. `headers.py` uses these tables in the runtime, the proxy and the emulator;
docs/security.md shows which headers are removed.

The tables do not contain headers about the request itself, which any client may send (``x-http-method-override``,
``x-requested-with``), or signed headers (``x-amzn-oidc-data``).
"""

from __future__ import annotations

#: The origin of a request: the client's address, the scheme, the host, the port and the prefix of the path, as proxies
#: report them. Proxies must be able to send these headers. So the runtime keeps them, and the proxy keeps them if the
#: client is trusted.
ORIGIN_PREFIXES = (
    # uvicorn and gunicorn, from 127.0.0.1 by default: -proto, -for, -protocol, -ssl. Werkzeug's ProxyFix: -host, -port,
    # -prefix. mod_wsgi, WSGITrustedProxyHeaders: -https, -scheme, -script-name, -server. Rack: -scheme, -ssl.
    # oauth2-proxy: -user, -email, -access-token. Envoy: -client-cert. Traefik: -tls-client-cert.
    "x-forwarded-",
    # Many Java programs look for headers with the names of CGI variables: HTTP_X_FORWARDED_FOR, HTTP_CLIENT_IP.
    "http-x-forwarded-",
    "http-client-",
)
ORIGIN = frozenset(
    {
        # RFC 7239; waitress, hypercorn, http4s, Spring.
        "forwarded",
        # nginx's convention; Tornado (xheaders), mod_wsgi.
        "x-real-ip",
        # The packages request-ip and fastify-ip for Node.js ask for each of these, in this order; Rails' RemoteIp asks
        # for Client-IP.
        "x-client-ip",
        "cf-connecting-ip",
        "cf-connecting-ipv6",
        "cf-pseudo-ipv4",
        "fastly-client-ip",
        "true-client-ip",
        "x-cluster-client-ip",
        "x-forwarded",
        "forwarded-for",
        "x-appengine-user-ip",
        "client-ip",
        # The same headers of other networks: Azure, DigitalOcean, Fly.io, Envoy, WebLogic.
        "x-azure-clientip",
        "x-azure-socketip",
        "do-connecting-ip",
        "fly-client-ip",
        "x-envoy-external-address",
        "proxy-client-ip",
        "wl-proxy-client-ip",
        "wl-proxy-ssl",
        "x-proxyuser-ip",
        "x-remote-ip",
        # ingress-nginx and ASP.NET keep the values that they received under these names.
        "x-original-forwarded-for",
        "x-original-for",
        "x-original-host",
        "x-original-proto",
        # The scheme and the host: Tornado and mod_wsgi; Microsoft's ISA and TMG; Azure's ARR; older proxies.
        "x-scheme",
        "x-url-scheme",
        "x-https",
        "front-end-https",
        "x-arr-ssl",
        "x-host",
        "x-http-host-override",
    }
)

#: Headers for the user whom a proxy has authenticated. The proxy keeps them only if the client is trusted. On Lambda,
#: no front door sends them.
IDENTITY_PREFIXES = (
    # Django's RemoteUserMiddleware (HTTP_REMOTE_USER); Authelia: Remote-User, -Groups, -Name, -Email.
    "remote-",
    # The Kubernetes API server's front proxy, Puppet, Gerrit; X-Remote-User is Apache's convention.
    "x-remote-",
    # oauth2-proxy behind nginx's auth_request.
    "x-auth-request-",
    # Grafana's auth proxy.
    "x-webauth-",
)

#: Headers with which a client could choose a path, file or step of the app that the adapter does not see. No client
#: needs these headers, and no front door sends them, so they are removed from every request.
INTERNAL_PREFIXES = (
    # Next.js 13 and 14 between their own processes.
    "x-invoke-",
    # IIS's URL Rewrite: Symfony (CVE-2018-14773), Laminas and others route by it.
    "x-rewrite-",
    # Rack::Sendfile and Plack's XSendfile read the mapping of files from the request (CVE-2025-61780).
    "x-accel-",
    "x-sendfile-",
)
INTERNAL = frozenset(
    {
        # The variables of CGI (RFC 3875, section 4.1) and WSGI (PEP 3333). gunicorn accepts SCRIPT_NAME and
        # PATH_INFO from 127.0.0.1 by default (forwarder_headers), and its users add others. CONTENT_TYPE is in
        # TWINS_ONLY.
        "auth-type",
        "gateway-interface",
        "path-info",
        "path-translated",
        "query-string",
        "request-method",
        "script-name",
        "server-name",
        "server-port",
        "server-protocol",
        "server-software",
        # Further variables of web servers, which PHP, Plack and iisnode read.
        "document-root",
        "document-uri",
        "https",
        "orig-path-info",
        "orig-script-name",
        "redirect-status",
        "redirect-url",
        "request-scheme",
        "request-uri",
        "script-filename",
        "script-uri",
        "script-url",
        # CVE-2016-5385: a CGI program would use it as its own HTTP proxy.
        "proxy",
        # mod_wsgi, and a known snippet for Flask.
        "x-script-name",
        "x-path-info",
        # These have the effect of x-rewrite-url. ingress-nginx sends them to its authorization service.
        "x-original-url",
        "x-original-uri",
        "x-original-method",
        "x-envoy-original-path",
        "x-waws-unencoded-url",
        # Next.js: CVE-2025-29927, and the list in its filterInternalHeaders.
        "x-middleware-subrequest",
        "x-middleware-subrequest-id",
        "x-middleware-invoke",
        "x-middleware-rewrite",
        "x-middleware-redirect",
        "x-middleware-set-cookie",
        "x-middleware-skip",
        "x-middleware-override-headers",
        "x-middleware-next",
        "x-now-route-matches",
        "x-matched-path",
        "next-resume",
    }
)

#: Headers that clients may send or front doors add. Only their twins are removed (`headers.py`).
TWINS_ONLY_PREFIXES = ("x-amzn-", "x-amz-", "cloudfront-", "x-apigateway-")
TWINS_ONLY = frozenset({"content-type"})
