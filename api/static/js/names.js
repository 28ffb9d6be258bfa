// What a planner calls features, drift variables and groups of attributions: each name and what it means, once.
import { labelOf } from "./dataset.js";
import { words } from "./formatting.js";

// # stands for a number of weeks; {store} and {department} for what people call them.
const VARIABLES = {
  horizon: ["Weeks ahead", "How many weeks after the newest sales the forecast week lies"],
  lag_0: ["Newest sales", "Sales of the newest week that was known"],
  lag_1: ["Sales a week earlier", "Sales one week before the newest week that was known"],
  "lag_#": ["Sales # weeks earlier", "Sales # weeks before the newest week that was known"],
  "mean_#": ["Mean sales of # weeks", "Mean sales of the newest # weeks"],
  "deviation_#": ["Ups and downs in # weeks", "How far weekly sales lay from their mean in the newest # weeks (standard deviation)"],
  weeks_observed: ["Weeks with sales", "Weeks with sales among the newest 52"],
  last_year: ["Same week last year", "Sales of the same week last year, moved where a holiday moved"],
  last_year_before: ["Week before it, last year", "Sales last year, one week before the week to be forecast"],
  last_year_after: ["Week after it, last year", "Sales last year, one week after the week to be forecast"],
  last_year_mean: ["Five weeks around it, last year", "Mean sales last year of the five weeks around the week to be forecast"],
  two_years_ago: ["Same week two years ago", "Sales of the same week two years ago, moved where a holiday moved"],
  base_scaled: ["Starting point of the forecast", "What the model starts from before it adds its own corrections"],
  aligned: ["Last year times growth", "Sales of the same week last year times the growth of recent weeks"],
  decomposition: ["Level and season", "Level of the whole history plus its season in the week to be forecast"],
  "growth_#": ["Growth on last year, # weeks", "Sales of the newest # weeks over the same weeks last year"],
  "dept_growth_#": ["{department}: growth on last year, # weeks", "The same growth, of the whole {department}"],
  "store_growth_#": ["{store}: growth on last year, # weeks", "The same growth, of the whole {store}"],
  residual_lag_0: ["Newest week against last year", "Newest sales less last year's times recent growth: what last year does not explain"],
  residual_lag_1: ["Week before against last year", "The same of the week before the newest"],
  "residual_mean_#": ["# weeks against last year", "Mean of the newest # weeks of sales less last year's times recent growth"],
  smooth_last_year: ["Same week last year, smoothed", "Sales of the same week last year, with chance evened out over all of the {department}"],
  smooth_base: ["Smoothed last year times growth", "The smoothed week of last year times the growth of recent weeks"],
  dept_profile: ["{department}: season of the year", "Sales of the {department} in the same week over its mean week"],
  store_index: ["{store}: strength of the week", "Sales of the {store} in the same week last year over its mean week"],
  dept_index: ["{department}: strength of the week", "Sales of the {department} in the same week last year over its mean week"],
  dept_index_change: ["{department}: stronger than recent weeks", "Strength of the week to be forecast over that of the newest 8 weeks"],
  "dept_residual_mean_#": ["{department}: # weeks against last year", "Mean of the newest # weeks of the {department} less last year's times growth, over its sales"],
  "store_residual_mean_#": ["{store}: # weeks against last year", "Mean of the newest # weeks of the {store} less last year's times growth, over its sales"],
  alignment_shift: ["Shift by a moved holiday", "Weeks by which last year's counterpart was moved so that holidays meet"],
  is_holiday: ["Holiday in the week", "Whether the week to be forecast holds a holiday"],
  holiday_kind: ["Which holiday", "The holiday of the week to be forecast, if there is one"],
  easter_offset: ["Weeks from Easter", "Weeks from Easter to the week to be forecast, 4 at most"],
  origin_is_holiday: ["Holiday in the newest week", "Whether the newest week that was known holds a holiday"],
  store_type: ["{store}: type", "Type or format of the {store}"],
  store_size: ["{store}: size", "Selling area of the {store}"],
  department: ["{department}: which one", "Which {department} it is"],
  temperature: ["Temperature", "Temperature in the newest week that was known"],
  temperature_change: ["Temperature against last year", "Temperature in the newest week less that of a year before"],
  fuel_change: ["Fuel price against last year", "Fuel price in the newest week over that of a year before"],
  cpi_change: ["Consumer prices against last year", "Consumer price index (CPI) in the newest week over that of a year before"],
  unemployment_change: ["Unemployment against last year", "Unemployment in the newest week less that of a year before, in percentage points"],
  markdown: ["Markdowns", "Markdowns of the {store} in the newest week over its mean weekly sales"],
  "markdown_#": ["Markdowns, # weeks", "Mean markdowns of the {store} in the newest # weeks over its mean weekly sales"],
  driver_effect: ["Effect of plans on sales", "What prices, promotions and other plans move the starting point by"],
  prediction: ["The forecast itself", "Forecasts of the week, over the usual size of their series"],
};
// Of a plan or another column of the retailer, as the files name it; of the forecast week unless said otherwise.
const PARTS = {
  value: ["{driver}", "{driver} in the week to be forecast, as planned when the forecast was made"],
  change: ["{driver} against recent weeks", "{driver} in the week to be forecast against the mean of recent weeks"],
  yearly_change: ["{driver} against last year", "{driver} in the week to be forecast against the same week last year"],
  before: ["{driver}, week before", "{driver} in the week before the one to be forecast"],
  after: ["{driver}, week after", "{driver} in the week after the one to be forecast"],
};
const GROUPS = {
  "last year": ["Last year's level", "What the forecast starts from, and last year's weeks around it"],
  "recent trend": ["Recent trend", "Sales of recent weeks and their growth on last year"],
  holiday: ["Holiday", "Holidays in or near the week"],
  promotion: ["Promotion", "Markdowns, prices, promotions and other plans"],
  store: ["{store}", "Size, type and growth of the {store}"],
  department: ["{department}", "Season and growth of the {department}"],
  "weather and economy": ["Weather and economy", "Temperature, fuel, consumer prices and unemployment"],
};

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function filled(entry, values) {
  const all = { store: labelOf("store"), department: labelOf("department"), ...values };
  return entry.map((text) => text.replaceAll(/#|\{(\w+)\}/g, (mark, name) => (mark === "#" ? all.number : all[name])));
}

/** [name, explanation] of a variable; null for one without. */
function entryOf(variable) {
  const number = /\d+$/.exec(variable)?.[0];
  const known = VARIABLES[variable] ?? VARIABLES[variable.replace(/\d+$/, "#")];
  if (known) return filled(known, { number });
  const [level, driver, part] = variable.split("__");
  if (!driver || !PARTS[part]) return null;
  const [name, text] = filled(PARTS[part], { driver: capital(words(driver)) });
  return level === "store" ? [`${labelOf("store")}: ${name}`, text] : [name, text];
}

/**
 * A feature or drift variable in a planner's words; one that is not known here as the data name it.
 * @param {string} variable
 * @returns {string}
 */
export const variableName = (variable) => entryOf(variable)?.[0] ?? capital(words(variable));

/** What a variable means; null where that is not known here. @param {string} variable @returns {?string} */
export const variableText = (variable) => entryOf(variable)?.[1] ?? null;

const groupEntry = (group) => (GROUPS[group] ? filled(GROUPS[group]) : null);

/** A group of attributions in a planner's words. @param {string} group @returns {string} */
export const groupName = (group) => groupEntry(group)?.[0] ?? capital(group);

/** What a group of attributions holds; null where that is not known here. @param {string} group @returns {?string} */
export const groupText = (group) => groupEntry(group)?.[1] ?? null;
