// Controls that a screen reader has no name for.
() => [...document.querySelectorAll("input, button, a, summary, [role=region]")]
  .filter((each) => each.checkVisibility())
  .filter((each) => {
    const labels = [...(each.labels ?? [])].some((label) => label.textContent.trim());
    return !(each.ariaLabel || each.textContent.trim() || labels);
  })
  .map((each) => each.outerHTML)
