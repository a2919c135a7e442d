// Who is told when something is silent or wrong: rules over the log lines of docs/runbook.md, and a workbook with the
// same questions. Without an address nobody is mailed; the alerts stand in the portal all the same.

@description('Name of the Log Analytics workspace.')
param workspaceName string

@description('Name of the action group.')
@minLength(1)
param actionGroupName string

@description('Beginning of the names of the rules.')
param rulePrefix string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Who gets a mail.')
param emails string[]

// The app's lines come through the worker's log as JSON (docs/runbook.md, log lines).
var lines = 'AppTraces | where Message startswith "{" | extend line = parse_json(Message) | extend event = tostring(line.event)'

// Each counts over `window`; more than `above`, or fewer than `below`, fires. Severity 1: mail is stuck; 2: look today.
var rules = [
  {
    name: 'timer-silent'
    says: 'The timer has not ticked for a quarter of an hour: nothing that is due is done.'
    query: '${lines} | where event == "invocation.finished" and tostring(line["function"]) == "enqueue_due_work"'
    window: 'PT15M'
    fewer: true
    severity: 1
  }
  {
    name: 'queue-silent'
    says: 'Nobody has taken a message of a queue for a quarter of an hour.'
    query: '${lines} | where event == "queue.silent"'
    window: 'PT15M'
    fewer: false
    severity: 1
  }
  {
    name: 'chore-failing'
    says: 'A chore of a timer fails; the others go on.'
    query: '${lines} | where event == "chore.failed"'
    window: 'PT15M'
    fewer: false
    severity: 2
  }
  {
    name: 'dead-letters'
    says: 'Work was given up, refused or crashed: python -m shared.ops list-dead-letters.'
    query: '${lines} | where event in ("work.given_up", "event.refused", "endpoint.off", "sweep.passed_by") or (event == "invocation.finished" and toint(line.poison) > 0)'
    window: 'PT1H'
    fewer: false
    severity: 2
  }
  {
    name: 'endpoint-silent'
    says: 'The endpoint of a tenant has taken nothing for an hour.'
    query: '${lines} | where event == "endpoint.silent"'
    window: 'PT1H'
    fewer: false
    severity: 2
  }
  {
    name: 'mail-late'
    says: 'Mailboxes bring mail late: notifications fail, or Microsoft does not answer.'
    query: '${lines} | where event == "connection.degraded"'
    window: 'PT1H'
    fewer: false
    severity: 2
  }
  {
    name: 'mail-found-late'
    says: 'A daily audit found mail that neither a notification nor a sweep had brought.'
    query: '${lines} | where event == "audit.finished" and toint(line.found_late) > 0'
    window: 'PT1H'
    fewer: false
    severity: 2
  }
  {
    name: 'unexpected'
    says: 'Errors that nobody foresaw.'
    query: '${lines} | where event in ("unexpected", "misconfigured")'
    window: 'PT1H'
    fewer: false
    severity: 2
  }
]

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' existing = { name: workspaceName }

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'postbraid'
    emailReceivers: [
      for (address, index) in emails: { name: 'mail-${index}', emailAddress: address, useCommonAlertSchema: true }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for rule in rules: {
    name: '${rulePrefix}${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Postbraid: ${rule.name}'
      description: '${rule.says} docs/runbook.md, "Something is silent".'
      severity: rule.severity
      enabled: true
      scopes: [workspace.id]
      evaluationFrequency: 'PT15M'
      windowSize: rule.window
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.fewer ? 'LessThan' : 'GreaterThan'
            threshold: rule.fewer ? 1 : 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      autoMitigate: true
      skipQueryValidation: true // the tables come into being with the first line
      actions: { actionGroups: [actionGroup.id] }
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Postbraid'
    category: 'workbook'
    sourceId: workspace.id
    serializedData: string({
      version: 'Notebook/1.0'
      items: concat(
        [
          {
            type: 1
            content: {
              json: 'What is silent, failing, late or incomplete. Each table answers one alert; docs/runbook.md says what to do.'
            }
          }
          {
            type: 3
            content: {
              version: 'KqlItem/1.0'
              title: 'Completeness: the last audit of each mailbox'
              query: '${lines} | where event == "audit.finished" | summarize arg_max(TimeGenerated, line) by mailbox = tostring(line.mailbox) | project mailbox, tenant = tostring(line.tenant), threads = toint(line.threads), in_mailbox = toint(line.in_mailbox), told = toint(line.told), found_late = toint(line.found_late), TimeGenerated | order by found_late desc, in_mailbox - told desc'
              size: 0
              timeContext: { durationMs: 172800000 }
              queryType: 0
              resourceType: 'microsoft.operationalinsights/workspaces'
            }
          }
        ],
        map(rules, rule => {
          type: 3
          content: {
            version: 'KqlItem/1.0'
            title: '${rule.name}: ${rule.says}'
            query: '${rule.query} | summarize count() by bin(TimeGenerated, 15m), mailbox = tostring(line.mailbox), tenant = tostring(line.tenant), work = tostring(line.work), error = tostring(line.error) | order by TimeGenerated desc | take 200'
            size: 0
            timeContext: { durationMs: 86400000 }
            queryType: 0
            resourceType: 'microsoft.operationalinsights/workspaces'
          }
        })
      )
    })
  }
}
