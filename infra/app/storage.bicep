// One storage account that knows no keys, with what is declared in it. Used twice: for the Functions host (its package,
// leases and keys of its own) and for the data. Everything is declared, because a queue trigger does not create its
// queue, and because nobody but the app and the deployer may write.

@description('Name of the account: 3 to 24 lower-case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags of every resource.')
param tags object

@description('How often everything is stored, and where: LRS in one building, ZRS in three zones of the region.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param sku string

@description('Private containers.')
param containers string[]

@description('Queues. Each gets its poison queue, where the host puts what failed too often.')
param queues string[] = []

@description('Tables.')
param tables string[] = []

@description('Containers whose blobs are deleted some days after they were last written.')
param emptied { container: string, days: int }[] = []

// The host names a poison queue like this (Microsoft, "Azure Queue storage trigger", poison messages).
var poisonQueues = map(queues, queue => '${queue}-poison')

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    networkAcls: { bypass: 'AzureServices', defaultAction: 'Allow' }
    publicNetworkAccess: 'Enabled' // by identity alone; private endpoints would need a virtual network
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    // What the app erases is gone: words and files of mails must not lie in a bin (docs/adr/0012).
    deleteRetentionPolicy: { enabled: false }
    isVersioningEnabled: false
  }

  resource container 'containers' = [
    for container in containers: {
      name: container
      properties: { publicAccess: 'None' }
    }
  ]
}

resource queueService 'Microsoft.Storage/storageAccounts/queueServices@2025-06-01' = {
  parent: account
  name: 'default'

  resource queue 'queues' = [for queue in concat(queues, poisonQueues): { name: queue }]
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2025-06-01' = {
  parent: account
  name: 'default'

  resource table 'tables' = [for table in tables: { name: table }]
}

resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = if (!empty(emptied)) {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for rule in emptied: {
          name: 'empty-${rule.container}'
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'], prefixMatch: ['${rule.container}/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: rule.days } } }
          }
        }
      ]
    }
  }
  dependsOn: [blobs]
}
