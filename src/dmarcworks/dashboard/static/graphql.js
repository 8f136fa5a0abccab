// Run a query without leaving the page: the same form, its response as JSON. Values from reports are inserted as text, never as markup.
"use strict";

const form = document.getElementById("ask");
const answer = document.getElementById("answer");
const took = document.getElementById("took");

async function ask() {
  const button = form.querySelector("button");
  const begun = performance.now();
  button.disabled = true;
  took.textContent = "running…";
  try {
    const response = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/json" },
      redirect: "error",
    });
    // A page instead of JSON means that the form has expired: show the message below.
    answer.textContent = shown(await response.text());
    answer.classList.toggle("wrong", !response.ok);
    took.textContent = `${response.status} · ${Math.round(performance.now() - begun)} ms`;
  } catch {
    answer.textContent = "No response. Reload the page: you may be logged out, or the server may be unavailable.";
    answer.classList.add("wrong");
    took.textContent = "";
  }
  button.disabled = false;
}

// JSON.parse rounds integers beyond 2^53: those are passed through as marked text, so that every digit is kept.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function shown(text) {
  const kept = text.replace(TOKEN, (token) => (/^-?\d{16,}$/.test(token) ? `"\\u0000${token}\\u0000"` : token));
  return JSON.stringify(JSON.parse(kept), null, 2).replace(/"\\u0000(-?\d+)\\u0000"/g, "$1");
}

form.addEventListener("submit", (event) => { event.preventDefault(); ask(); });
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask(); }
});
