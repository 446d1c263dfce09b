// Opens the operation that the address names, and searches the list. The page is complete without it.
"use strict";

function openNamed() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const isFound = (element) => words.every((word) => element.textContent.toLowerCase().includes(word));
  for (const operation of document.querySelectorAll(".operation")) {
    const found = isFound(operation.querySelector("summary"));
    operation.hidden = !found;
    const link = document.querySelector(`nav a[href="#${operation.id}"]`);
    link.parentElement.hidden = !found;
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = words.length > 0 && !section.querySelector(".operation:not([hidden])");
  }
}

const field = document.getElementById("search");
field.hidden = false;
field.addEventListener("input", () => search(field.value));
addEventListener("hashchange", openNamed);
openNamed();
