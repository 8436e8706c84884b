"""A Flask app that believes everything that Werkzeug's ProxyFix can take from a proxy, and shows what it believes."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

app = Flask(__name__)


@app.route("/", defaults={"rest": ""}, methods=["GET", "POST"])
@app.route("/<path:rest>", methods=["GET", "POST"])
def show(rest: str) -> Response:
    return jsonify(
        script=request.script_root,
        path=request.path,
        scheme=request.scheme,
        link=url_for("show", rest="login"),
        cookies=request.cookies,
        user=request.headers.get("Remote-User"),
    )


app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)  # type: ignore[method-assign]
