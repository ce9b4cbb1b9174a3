"use strict"
// Tables that are whole without this script: with it, columns sort and the zoo's can be searched.

{
  const value = (row, column, kind) => {
    const cell = row.cells[column]
    const text = cell.dataset.value ?? cell.textContent.trim()
    if (kind === "text") return text.toLowerCase()
    const number = parseFloat(text.replace("−", "-").replace(/^(-?)(∞|inf)/, "$1Infinity"))
    return Number.isNaN(number) ? null : number
  }

  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b) : a - b)

  function sort(table, column, heading) {
    const down = heading.getAttribute("aria-sort") === "ascending"
    const rows = [...table.tBodies[0].rows].map((row) => [value(row, column, heading.dataset.kind), row])
    const known = rows.filter(([key]) => key !== null)
    const unknown = rows.filter(([key]) => key === null) // at the end either way
    known.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)))
    table.tBodies[0].append(...[...known, ...unknown].map(([, row]) => row))
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort")
    heading.setAttribute("aria-sort", down ? "descending" : "ascending")
  }

  function makeSortable(table) {
    ;[...table.tHead.rows[0].cells].forEach((heading, column) => {
      if (!heading.dataset.kind) return
      const button = document.createElement("button")
      button.type = "button"
      button.append(...heading.childNodes)
      button.addEventListener("click", () => sort(table, column, heading))
      heading.append(button)
    })
  }

  function makeSearchable(form, table) {
    const [text, family, said] = form.querySelectorAll("input, select, output")
    const rows = [...table.tBodies[0].rows]
    const sought = rows.map((row) => `${row.textContent} ${row.dataset.also}`.toLowerCase())
    const search = () => {
      const words = text.value.toLowerCase().split(/\s+/)
      let shown = 0
      rows.forEach((row, i) => {
        const fits = (!family.value || row.dataset.family === family.value) && words.every((w) => sought[i].includes(w))
        row.hidden = !fits
        shown += fits
      })
      said.textContent = `${shown} ${shown === 1 ? "function" : "functions"}`
    }
    form.addEventListener("input", search)
    form.addEventListener("submit", (event) => event.preventDefault())
    form.hidden = false
    const asked = decodeURIComponent(location.hash.slice(1)) // a family's name, from a page's crumbs
    if ([...family.options].some((option) => option.value === asked && asked)) family.value = asked
    search()
  }

  for (const table of document.querySelectorAll("table.sortable, table.zoo-table")) makeSortable(table)
  for (const zoo of document.querySelectorAll(".zoo")) makeSearchable(zoo.querySelector("form"), zoo.querySelector("table"))

  // the theme's search is a dialogue without a name
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search")
}
